// GRU: printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void gru_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 7, 5) {
    HG_UNITS {
      const V x_z = HG_READ(0);
      const V U_z = HG_READ(1);
      const V x_n = HG_READ(2);
      const V x_r = HG_READ(3);
      const V U_r = HG_READ(4);
      const V U_n = HG_READ(5);
      const V old_h = HG_READ(6);
      const V v0 = x_z + U_z;
      const V gate_z = sigmoid(v0);
      const V v1 = number<V>(1.0) - gate_z;
      const V v2 = x_r + U_r;
      const V gate_r = sigmoid(v2);
      const V v3 = gate_r * U_n;
      const V v4 = x_n + v3;
      const V gate_n = tanh(v4);
      const V v5 = v1 * gate_n;
      const V v6 = gate_z * old_h;
      const V new_h = v5 + v6;
      HG_STORE(0, new_h);
      HG_KEEP(1, gate_z);
      HG_KEEP(2, gate_n);
      HG_KEEP(3, U_n);
      HG_KEEP(4, gate_r);
    }
  }
}

template <class V>
void gru_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 7, 4) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V gate_z = HG_READ(2);
      const V gate_n = HG_READ(3);
      const V U_n = HG_READ(4);
      const V gate_r = HG_READ(5);
      const V old_h = HG_READ(6);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - gate_z;
      const V v2 = v0 * v1;
      const V v3 = gate_n * gate_n;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = v5 * U_n;
      const V v7 = number<V>(1.0) - gate_r;
      const V v8 = gate_r * v7;
      const V v9 = v6 * v8;
      const V v10 = v0 * old_h;
      const V v11 = v0 * gate_n;
      const V v12 = v10 - v11;
      const V v13 = gate_z * v1;
      const V v14 = v12 * v13;
      const V v15 = v5 * gate_r;
      HG_STORE(0, v9);
      HG_STORE(1, v14);
      HG_STORE(2, v5);
      HG_STORE(3, v15);
    }
  }
}

template <class V>
void gru_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 4, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      const V d_h = HG_READ(1);
      const V dy_h = HG_READ(2);
      const V gate_z = HG_READ(3);
      const V v0 = d_h + dy_h;
      const V v1 = v0 * gate_z;
      const V v2 = dv_0 + v1;
      HG_STORE(0, v2);
    }
  }
}

template <class V>
void gru_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 6, 6) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V gate_z = HG_READ(1);
      const V gate_n = HG_READ(2);
      const V U_n = HG_READ(3);
      const V gate_r = HG_READ(4);
      const V old_h = HG_READ(5);
      const V v0 = number<V>(1.0) - gate_z;
      const V v1 = gate_n * gate_n;
      const V v2 = number<V>(1.0) - v1;
      const V v3 = v0 * v2;
      const V v4 = v3 * U_n;
      const V v5 = number<V>(1.0) - gate_r;
      const V v6 = gate_r * v5;
      const V v7 = v4 * v6;
      const V v8 = d_h * v7;
      const V v9 = old_h - gate_n;
      const V v10 = gate_z * v0;
      const V v11 = v9 * v10;
      const V v12 = d_h * v11;
      const V v13 = d_h * v3;
      const V v14 = v3 * gate_r;
      const V v15 = d_h * v14;
      const V v16 = d_h * gate_z;
      HG_STORE(0, v8);
      HG_STORE(1, v12);
      HG_STORE(2, v13);
      HG_STORE(3, v15);
      HG_STORE(4, d_h);
      HG_KEEP(5, v16);
    }
  }
}

template <class V>
void gru_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 4, 1) {
    const V along_highway = HG_ONCE(0);
    HG_UNITS {
      const V d_h = HG_READ(1);
      const V gate_z = HG_READ(2);
      const V dw_0 = HG_READ(3);
      const V v0 = d_h * gate_z;
      const V v1 = along_highway * v0;
      const V v2 = v1 + dw_0;
      HG_STORE(0, v2);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT_BY_TWOS(gru_forward_0)
HG_EXPORT_BY_TWOS(gru_backward_0)
HG_EXPORT_BY_TWOS(gru_backward_1)
HG_EXPORT_BY_TWOS(gru_adjoint_0)
HG_EXPORT_BY_TWOS(gru_adjoint_1)
