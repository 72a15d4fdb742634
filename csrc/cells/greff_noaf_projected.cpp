// LSTM(peephole=True, output_activation='identity', projection=True): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void greff_noaf_projected_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 12, 6) {
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
      const V x_o = HG_READ(9);
      const V U_o = HG_READ(10);
      const V p_o = HG_READ(11);
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
      const V v9 = x_o + U_o;
      const V v10 = p_o * new_c;
      const V v11 = v9 + v10;
      const V gate_o = sigmoid(v11);
      const V v12 = gate_o * new_c;
      HG_STORE(0, new_c);
      HG_STORE(1, v12);
      HG_KEEP(2, gate_o);
      HG_KEEP(3, gate_g);
      HG_KEEP(4, gate_i);
      HG_KEEP(5, gate_f);
    }
  }
}

template <class V>
void greff_noaf_projected_forward_1(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V U_r = HG_READ(0);
      HG_STORE(0, U_r);
    }
  }
}

template <class V>
void greff_noaf_projected_backward_0(const hg_tile& tile) {
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
void greff_noaf_projected_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 12, 8) {
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dy_c = HG_READ(1);
      const V dv_1 = HG_READ(2);
      const V gate_o = HG_READ(3);
      const V new_c = HG_READ(4);
      const V p_o = HG_READ(5);
      const V gate_g = HG_READ(6);
      const V gate_i = HG_READ(7);
      const V old_c = HG_READ(8);
      const V gate_f = HG_READ(9);
      const V p_i = HG_READ(10);
      const V p_f = HG_READ(11);
      const V v0 = d_c + dy_c;
      const V v1 = dv_1 * gate_o;
      const V v2 = v0 + v1;
      const V v3 = dv_1 * new_c;
      const V v4 = number<V>(1.0) - gate_o;
      const V v5 = gate_o * v4;
      const V v6 = v3 * v5;
      const V v7 = v6 * p_o;
      const V v8 = v2 + v7;
      const V v9 = v8 * gate_g;
      const V v10 = number<V>(1.0) - gate_i;
      const V v11 = gate_i * v10;
      const V v12 = v9 * v11;
      const V v13 = v8 * old_c;
      const V v14 = number<V>(1.0) - gate_f;
      const V v15 = gate_f * v14;
      const V v16 = v13 * v15;
      const V v17 = v8 * gate_i;
      const V v18 = gate_g * gate_g;
      const V v19 = number<V>(1.0) - v18;
      const V v20 = v17 * v19;
      const V v21 = v12 * p_i;
      const V v22 = v8 * gate_f;
      const V v23 = v21 + v22;
      const V v24 = v16 * p_f;
      const V v25 = v23 + v24;
      const V v26 = v12 * old_c;
      const V v27 = v16 * old_c;
      const V v28 = v6 * new_c;
      HG_STORE(0, v12);
      HG_STORE(1, v16);
      HG_STORE(2, v20);
      HG_STORE(3, v6);
      HG_STORE(4, v25);
      HG_SUM(5, v26);
      HG_SUM(6, v27);
      HG_SUM(7, v28);
    }
  }
}

template <class V>
void greff_noaf_projected_backward_2(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      HG_STORE(0, dv_0);
    }
  }
}

template <class V>
void greff_noaf_projected_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 1, 2) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      HG_STORE(0, d_h);
      HG_STORE(1, d_h);
    }
  }
}

template <class V>
void greff_noaf_projected_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 12, 7) {
    const V along_highway = HG_ONCE(9);
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dv_1 = HG_READ(1);
      const V gate_o = HG_READ(2);
      const V new_c = HG_READ(3);
      const V p_o = HG_READ(4);
      const V gate_g = HG_READ(5);
      const V gate_i = HG_READ(6);
      const V old_c = HG_READ(7);
      const V gate_f = HG_READ(8);
      const V p_i = HG_READ(10);
      const V p_f = HG_READ(11);
      const V v0 = number<V>(1.0) - gate_o;
      const V v1 = gate_o * v0;
      const V v2 = new_c * v1;
      const V v3 = v2 * p_o;
      const V v4 = gate_o + v3;
      const V v5 = dv_1 * v4;
      const V v6 = d_c + v5;
      const V v7 = number<V>(1.0) - gate_i;
      const V v8 = gate_i * v7;
      const V v9 = gate_g * v8;
      const V v10 = v6 * v9;
      const V v11 = number<V>(1.0) - gate_f;
      const V v12 = gate_f * v11;
      const V v13 = old_c * v12;
      const V v14 = v6 * v13;
      const V v15 = gate_g * gate_g;
      const V v16 = number<V>(1.0) - v15;
      const V v17 = gate_i * v16;
      const V v18 = v6 * v17;
      const V v19 = dv_1 * v2;
      const V v20 = v9 * p_i;
      const V v21 = v20 + gate_f;
      const V v22 = v13 * p_f;
      const V v23 = v21 + v22;
      const V v24 = v6 * v23;
      const V v25 = along_highway * v24;
      HG_STORE(0, v10);
      HG_STORE(1, v14);
      HG_STORE(2, v18);
      HG_STORE(3, v19);
      HG_STORE(4, v25);
      HG_STORE(5, v6);
      HG_KEEP(6, v24);
    }
  }
}

template <class V>
void greff_noaf_projected_adjoint_2(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dw_0 = HG_READ(0);
      HG_STORE(0, dw_0);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT_BY_TWOS(greff_noaf_projected_forward_0)
HG_EXPORT(greff_noaf_projected_forward_1)
HG_EXPORT(greff_noaf_projected_backward_0)
HG_EXPORT_BY_TWOS(greff_noaf_projected_backward_1)
HG_EXPORT(greff_noaf_projected_backward_2)
HG_EXPORT(greff_noaf_projected_adjoint_0)
HG_EXPORT_BY_TWOS(greff_noaf_projected_adjoint_1)
HG_EXPORT(greff_noaf_projected_adjoint_2)
