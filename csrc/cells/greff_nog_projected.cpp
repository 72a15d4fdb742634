// LSTM(peephole=True, output_gate=False, projection=True): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void greff_nog_projected_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 9, 5) {
    HG_UNITS {
      const V x_f = HG_READ(0);
      const V U_f = HG_READ(1);
      const V p_f = HG_READ(2);
      const V old_c = HG_READ(3);
      const V x_i = HG_READ(4);
      const V U_i = HG_READ(5);
      const V p_i = HG_READ(6);
      const V x_g = HG_READ(7);
      const V U_g = HG_READ(8);
      const V v0 = x_f + U_f;
      const V v1 = p_f * old_c;
      const V v2 = v0 + v1;
      const V gate_f = sigmoid(v2);
      const V v3 = gate_f * old_c;
      const V v4 = x_i + U_i;
      const V v5 = p_i * old_c;
      const V v6 = v4 + v5;
      const V gate_i = sigmoid(v6);
      const V v7 = x_g + U_g;
      const V gate_g = tanh(v7);
      const V v8 = gate_i * gate_g;
      const V new_c = v3 + v8;
      const V v9 = tanh(new_c);
      HG_STORE(0, new_c);
      HG_STORE(1, v9);
      HG_KEEP(2, gate_g);
      HG_KEEP(3, gate_i);
      HG_KEEP(4, gate_f);
    }
  }
}

template <class V>
void greff_nog_projected_forward_1(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V U_r = HG_READ(0);
      HG_STORE(0, U_r);
    }
  }
}

template <class V>
void greff_nog_projected_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 2, 1) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V v0 = d_h + dy_h;
      HG_STORE(0, v0);
    }
  }
}

template <class V>
void greff_nog_projected_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 10, 6) {
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dy_c = HG_READ(1);
      const V dv_1 = HG_READ(2);
      const V kept_tanh = HG_READ(3);
      const V gate_g = HG_READ(4);
      const V gate_i = HG_READ(5);
      const V old_c = HG_READ(6);
      const V gate_f = HG_READ(7);
      const V p_i = HG_READ(8);
      const V p_f = HG_READ(9);
      const V v0 = d_c + dy_c;
      const V v1 = kept_tanh * kept_tanh;
      const V v2 = number<V>(1.0) - v1;
      const V v3 = dv_1 * v2;
      const V v4 = v0 + v3;
      const V v5 = v4 * gate_g;
      const V v6 = number<V>(1.0) - gate_i;
      const V v7 = gate_i * v6;
      const V v8 = v5 * v7;
      const V v9 = v4 * old_c;
      const V v10 = number<V>(1.0) - gate_f;
      const V v11 = gate_f * v10;
      const V v12 = v9 * v11;
      const V v13 = v4 * gate_i;
      const V v14 = gate_g * gate_g;
      const V v15 = number<V>(1.0) - v14;
      const V v16 = v13 * v15;
      const V v17 = v8 * p_i;
      const V v18 = v4 * gate_f;
      const V v19 = v17 + v18;
      const V v20 = v12 * p_f;
      const V v21 = v19 + v20;
      const V v22 = v8 * old_c;
      const V v23 = v12 * old_c;
      HG_STORE(0, v8);
      HG_STORE(1, v12);
      HG_STORE(2, v16);
      HG_STORE(3, v21);
      HG_SUM(4, v22);
      HG_SUM(5, v23);
    }
  }
}

template <class V>
void greff_nog_projected_backward_2(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      HG_STORE(0, dv_0);
    }
  }
}

template <class V>
void greff_nog_projected_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 1, 2) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      HG_STORE(0, d_h);
      HG_STORE(1, d_h);
    }
  }
}

template <class V>
void greff_nog_projected_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 10, 6) {
    const V along_highway = HG_ONCE(7);
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dv_1 = HG_READ(1);
      const V kept_tanh = HG_READ(2);
      const V gate_g = HG_READ(3);
      const V gate_i = HG_READ(4);
      const V old_c = HG_READ(5);
      const V gate_f = HG_READ(6);
      const V p_i = HG_READ(8);
      const V p_f = HG_READ(9);
      const V v0 = kept_tanh * kept_tanh;
      const V v1 = number<V>(1.0) - v0;
      const V v2 = dv_1 * v1;
      const V v3 = d_c + v2;
      const V v4 = number<V>(1.0) - gate_i;
      const V v5 = gate_i * v4;
      const V v6 = gate_g * v5;
      const V v7 = v3 * v6;
      const V v8 = number<V>(1.0) - gate_f;
      const V v9 = gate_f * v8;
      const V v10 = old_c * v9;
      const V v11 = v3 * v10;
      const V v12 = gate_g * gate_g;
      const V v13 = number<V>(1.0) - v12;
      const V v14 = gate_i * v13;
      const V v15 = v3 * v14;
      const V v16 = v6 * p_i;
      const V v17 = v16 + gate_f;
      const V v18 = v10 * p_f;
      const V v19 = v17 + v18;
      const V v20 = v3 * v19;
      const V v21 = along_highway * v20;
      HG_STORE(0, v7);
      HG_STORE(1, v11);
      HG_STORE(2, v15);
      HG_STORE(3, v21);
      HG_STORE(4, v3);
      HG_KEEP(5, v20);
    }
  }
}

template <class V>
void greff_nog_projected_adjoint_2(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dw_0 = HG_READ(0);
      HG_STORE(0, dw_0);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT_BY_TWOS(greff_nog_projected_forward_0)
HG_EXPORT(greff_nog_projected_forward_1)
HG_EXPORT(greff_nog_projected_backward_0)
HG_EXPORT_BY_TWOS(greff_nog_projected_backward_1)
HG_EXPORT(greff_nog_projected_backward_2)
HG_EXPORT(greff_nog_projected_adjoint_0)
HG_EXPORT_BY_TWOS(greff_nog_projected_adjoint_1)
HG_EXPORT(greff_nog_projected_adjoint_2)
