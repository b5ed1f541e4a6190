// Parts with a recurrence or a convolution (frontends/Parts.h says what a part is). The numbers are Model::ssm.
#pragma once

#include "frontends/Parts.h"

namespace llmc::frontends {

extern const Part shortConvolution; // blk.ssm_b_gate, ssm_c_gate, ssm_in, conv, ssm_out
extern const Part mamba;            // blk.ssm_x, ssm_z, conv, ssm_rank, ssm_b, ssm_c (norms of these), ssm_step, a, d, out
extern const Part mamba2;           // blk.ssm_z, ssm_x, ssm_dt, conv, ssm_dt_offset, ssm_a, ssm_d, ssm_norm, ssm_out
extern const Part sharedBlockAndMamba2; // a transformer block over (x, embedding), its result added to what mamba2 sees:
                                        // blk.shared_norm, shared_ffn_norm, shared_out, attn_norm; attention, gatedMlp, mamba2
extern const Part realGatedUnit;    // blk.lru_x, lru_y, conv, lru_input_gate, lru_decay_gate, lru_a, lru_out
extern const Part deltaNet;         // blk.delta_q, k, v, z, a, b, conv, delta_dt_offset, delta_a_log, delta_norm, delta_out
extern const Part timeMix;          // RWKV's: blk.mix_k, v, r, time_k, time_v, time_r, time_decay, time_first, time_out
extern const Part channelMix;       // blk.channel_mix_k, channel_mix_r, channel_k, channel_r, channel_v

// For parts that are made of others.
extern const PartState convTail, mamba2State;
mlir::Value buildMamba2(LayerBuilder &b, mlir::Value x);
void mamba2Weights(const Model &model, WeightList &list);

} // namespace llmc::frontends
