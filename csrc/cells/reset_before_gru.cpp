// GRU(reset='before'): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void reset_before_gru_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 5, 3) {
    HG_UNITS {
      const V x_r = HG_READ(0);
      const V U_r = HG_READ(1);
      const V old_h = HG_READ(2);
      const V x_z = HG_READ(3);
      const V U_z = HG_READ(4);
      const V v0 = x_r + U_r;
      const V gate_r = sigmoid(v0);
      const V v1 = gate_r * old_h;
      const V v2 = x_z + U_z;
      const V gate_z = sigmoid(v2);
      HG_STORE(0, v1);
      HG_STORE(1, gate_z);
      HG_KEEP(2, gate_r);
    }
  }
}

template <class V>
void reset_before_gru_forward_1(const hg_tile& tile) {
  HG_PASS(tile, 4, 2) {
    HG_UNITS {
      const V gate_z = HG_READ(0);
      const V x_n = HG_READ(1);
      const V U_n = HG_READ(2);
      const V old_h = HG_READ(3);
      const V v0 = number<V>(1.0) - gate_z;
      const V v1 = x_n + U_n;
      const V gate_n = tanh(v1);
      const V v2 = v0 * gate_n;
      const V v3 = gate_z * old_h;
      const V new_h = v2 + v3;
      HG_STORE(0, new_h);
      HG_KEEP(1, gate_n);
    }
  }
}

template <class V>
void reset_before_gru_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 5, 2) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V old_h = HG_READ(2);
      const V gate_n = HG_READ(3);
      const V gate_z = HG_READ(4);
      const V v0 = d_h + dy_h;
      const V v1 = v0 * old_h;
      const V v2 = v0 * gate_n;
      const V v3 = v1 - v2;
      const V v4 = number<V>(1.0) - gate_z;
      const V v5 = gate_z * v4;
      const V v6 = v3 * v5;
      const V v7 = v0 * v4;
      const V v8 = gate_n * gate_n;
      const V v9 = number<V>(1.0) - v8;
      const V v10 = v7 * v9;
      HG_STORE(0, v6);
      HG_STORE(1, v10);
    }
  }
}

template <class V>
void reset_before_gru_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 3, 2) {
    HG_UNITS {
      const V dv_1 = HG_READ(0);
      const V old_h = HG_READ(1);
      const V gate_r = HG_READ(2);
      const V v0 = dv_1 * old_h;
      const V v1 = number<V>(1.0) - gate_r;
      const V v2 = gate_r * v1;
      const V v3 = v0 * v2;
      HG_STORE(0, v3);
      HG_STORE(1, dv_1);
    }
  }
}

template <class V>
void reset_before_gru_backward_2(const hg_tile& tile) {
  HG_PASS(tile, 6, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      const V dv_1 = HG_READ(1);
      const V gate_r = HG_READ(2);
      const V d_h = HG_READ(3);
      const V dy_h = HG_READ(4);
      const V gate_z = HG_READ(5);
      const V v0 = dv_1 * gate_r;
      const V v1 = dv_0 + v0;
      const V v2 = d_h + dy_h;
      const V v3 = v2 * gate_z;
      const V v4 = v1 + v3;
      HG_STORE(0, v4);
    }
  }
}

template <class V>
void reset_before_gru_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 4, 4) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V old_h = HG_READ(1);
      const V gate_n = HG_READ(2);
      const V gate_z = HG_READ(3);
      const V v0 = old_h - gate_n;
      const V v1 = number<V>(1.0) - gate_z;
      const V v2 = gate_z * v1;
      const V v3 = v0 * v2;
      const V v4 = d_h * v3;
      const V v5 = gate_n * gate_n;
      const V v6 = number<V>(1.0) - v5;
      const V v7 = v1 * v6;
      const V v8 = d_h * v7;
      const V v9 = d_h * gate_z;
      HG_STORE(0, v4);
      HG_STORE(1, v8);
      HG_STORE(2, d_h);
      HG_KEEP(3, v9);
    }
  }
}

template <class V>
void reset_before_gru_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 4, 2) {
    HG_UNITS {
      const V dv_1 = HG_READ(0);
      const V old_h = HG_READ(1);
      const V gate_r = HG_READ(2);
      const V dw_1 = HG_READ(3);
      const V v0 = number<V>(1.0) - gate_r;
      const V v1 = gate_r * v0;
      const V v2 = old_h * v1;
      const V v3 = dv_1 * v2;
      HG_STORE(0, v3);
      HG_STORE(1, dw_1);
    }
  }
}

template <class V>
void reset_before_gru_adjoint_2(const hg_tile& tile) {
  HG_PASS(tile, 6, 1) {
    const V along_highway = HG_ONCE(0);
    HG_UNITS {
      const V d_h = HG_READ(1);
      const V gate_z = HG_READ(2);
      const V dw_0 = HG_READ(3);
      const V dw_1 = HG_READ(4);
      const V gate_r = HG_READ(5);
      const V v0 = d_h * gate_z;
      const V v1 = along_highway * v0;
      const V v2 = dw_1 * gate_r;
      const V v3 = dw_0 + v2;
      const V v4 = v1 + v3;
      HG_STORE(0, v4);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT_BY_TWOS(reset_before_gru_forward_0)
HG_EXPORT_BY_TWOS(reset_before_gru_forward_1)
HG_EXPORT_BY_TWOS(reset_before_gru_backward_0)
HG_EXPORT_BY_TWOS(reset_before_gru_backward_1)
HG_EXPORT_BY_TWOS(reset_before_gru_backward_2)
HG_EXPORT_BY_TWOS(reset_before_gru_adjoint_0)
HG_EXPORT_BY_TWOS(reset_before_gru_adjoint_1)
HG_EXPORT_BY_TWOS(reset_before_gru_adjoint_2)
