// exp, tanh and erf on vectors become polynomials; other functions stay what they are.
// RUN: llmc-opt %s --pass-pipeline="builtin.module(func.func(llmc-approximate-math))" | FileCheck %s

// RUN: llmc-opt %s --pass-pipeline="builtin.module(func.func(llmc-approximate-math{trigonometry}))" | FileCheck %s --check-prefix=SERIES

// Where there is no libm, cos and sin go too: through f64.
// SERIES-LABEL: func.func @vectors(
// SERIES-NOT: math.cos
// SERIES: arith.extf %{{.*}} : vector<16xf32> to vector<16xf64>
// SERIES: arith.truncf %{{.*}} : vector<16xf64> to vector<16xf32>
// SERIES: math.powf
// CHECK-LABEL: func.func @vectors(
// CHECK-NOT: math.exp
// CHECK-NOT: math.tanh
// CHECK-NOT: math.erf
// CHECK: math.cos
// CHECK: math.sqrt
// CHECK: math.powf
// CHECK: return
func.func @vectors(%x: vector<16xf32>) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
  %0 = math.exp %x : vector<16xf32>
  %1 = math.tanh %x : vector<16xf32>
  %2 = math.erf %x : vector<16xf32>
  %3 = math.cos %x : vector<16xf32>
  %4 = math.sqrt %x : vector<16xf32>
  %5 = math.powf %x, %x : vector<16xf32>
  return %0, %1, %2, %3, %4, %5 : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
}
