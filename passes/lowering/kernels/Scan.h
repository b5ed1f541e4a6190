// The operands of a scan kernel, and what its kinds share.
#pragma once

#include "passes/lowering/kernels/Recurrence.h"

namespace llmc::kernels {

struct Scan {
  KernelBuilder &b;
  tile::ScanAttr kernel;
  Value x, a, step, input, output, beta, skip, y, scratch; // absent ones are null
  Tokens tokens;

  Scan(KernelBuilder &b, tile::ScanAttr kernel);

  // Rows of token t, from the panel's or head's first channel on.
  Value loadX(const Panel &panel, Value t) const;
  Value loadStep(const Panel &panel, Value t) const;      // of each channel, clamped
  Value loadStepOfHead(const Panel &panel, Value t) const; // f32, clamped
  Value group(const Panel &panel) const;
  Value inputOf(const Panel &panel, Value t) const;        // address of the states of the head's group
  Value outputOf(const Panel &panel, Value t) const;
  Value yOf(const Panel &panel, Value t) const; // address

  // What the decay's form makes of the stored values, times `factor`.
  Value rate(Value stored, double factor) const;
  // y[t] = skip * x[t] of each channel, or zeros: what blocks of states then add to.
  void beginSums(const Panel &panel, const Run &run) const;
  // The panel's numbers of state `n` in the state of `run`.
  Value stateAt(const Run &run, const Panel &panel, Value n) const;

  Value clamp(Value step) const; // to the limits, if there are any
};

void emitDelta(const Scan &scan);
// One run of a panel of a `scalar` scan.
void emitScalarRun(const Scan &scan, const Panel &panel, const Run &run);

// A panel of a `gated` scan: one number a channel.
struct Gated {
  const Scan &scan;
  const Panel &panel;
  Value rate;

  Gated(const Scan &scan, const Panel &panel);
  std::pair<Value, Value> factors(const Run &run, Value t) const; // of token t: the state's decay, and what is added to it
  Value stateAt(const Run &run) const;                              // address
};

// A panel of a `wkv` scan.
struct Wkv {
  const Scan &scan;
  const Panel &panel;
  Value rate, bonus, keys;

  Wkv(const Scan &scan, const Panel &panel);
  void pass(const Run &run) const;
};

} // namespace llmc::kernels
