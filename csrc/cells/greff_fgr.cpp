// LSTM(peephole=True, full_gate_recurrence=True): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void greff_fgr_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 21, 7) {
    HG_UNITS {
      const V x_o = HG_READ(0);
      const V U_o = HG_READ(1);
      const V p_o = HG_READ(2);
      const V x_f = HG_READ(3);
      const V U_f = HG_READ(4);
      const V p_f = HG_READ(5);
      const V old_c = HG_READ(6);
      const V U_i_f = HG_READ(7);
      const V U_f_f = HG_READ(8);
      const V U_o_f = HG_READ(9);
      const V x_i = HG_READ(10);
      const V U_i = HG_READ(11);
      const V p_i = HG_READ(12);
      const V U_i_i = HG_READ(13);
      const V U_f_i = HG_READ(14);
      const V U_o_i = HG_READ(15);
      const V x_g = HG_READ(16);
      const V U_g = HG_READ(17);
      const V U_i_o = HG_READ(18);
      const V U_f_o = HG_READ(19);
      const V U_o_o = HG_READ(20);
      const V v0 = x_o + U_o;
      const V v1 = x_f + U_f;
      const V v2 = p_f * old_c;
      const V v3 = v1 + v2;
      const V v4 = v3 + U_i_f;
      const V v5 = v4 + U_f_f;
      const V v6 = v5 + U_o_f;
      const V new_f = sigmoid(v6);
      const V v7 = new_f * old_c;
      const V v8 = x_i + U_i;
      const V v9 = p_i * old_c;
      const V v10 = v8 + v9;
      const V v11 = v10 + U_i_i;
      const V v12 = v11 + U_f_i;
      const V v13 = v12 + U_o_i;
      const V new_i = sigmoid(v13);
      const V v14 = x_g + U_g;
      const V gate_g = tanh(v14);
      const V v15 = new_i * gate_g;
      const V new_c = v7 + v15;
      const V v16 = p_o * new_c;
      const V v17 = v0 + v16;
      const V v18 = v17 + U_i_o;
      const V v19 = v18 + U_f_o;
      const V v20 = v19 + U_o_o;
      const V new_o = sigmoid(v20);
      const V v21 = tanh(new_c);
      const V new_h = new_o * v21;
      HG_STORE(0, new_h);
      HG_STORE(1, new_c);
      HG_STORE(2, new_i);
      HG_STORE(3, new_f);
      HG_STORE(4, new_o);
      HG_KEEP(5, v21);
      HG_KEEP(6, gate_g);
    }
  }
}

template <class V>
void greff_fgr_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 20, 8) {
    HG_UNITS {
      const V d_i = HG_READ(0);
      const V dy_i = HG_READ(1);
      const V d_c = HG_READ(2);
      const V dy_c = HG_READ(3);
      const V d_h = HG_READ(4);
      const V dy_h = HG_READ(5);
      const V new_o = HG_READ(6);
      const V kept_tanh = HG_READ(7);
      const V d_o = HG_READ(8);
      const V dy_o = HG_READ(9);
      const V p_o = HG_READ(10);
      const V gate_g = HG_READ(11);
      const V new_i = HG_READ(12);
      const V d_f = HG_READ(13);
      const V dy_f = HG_READ(14);
      const V old_c = HG_READ(15);
      const V new_f = HG_READ(16);
      const V p_i = HG_READ(17);
      const V p_f = HG_READ(18);
      const V new_c = HG_READ(19);
      const V v0 = d_i + dy_i;
      const V v1 = d_c + dy_c;
      const V v2 = d_h + dy_h;
      const V v3 = v2 * new_o;
      const V v4 = kept_tanh * kept_tanh;
      const V v5 = number<V>(1.0) - v4;
      const V v6 = v3 * v5;
      const V v7 = v1 + v6;
      const V v8 = d_o + dy_o;
      const V v9 = v2 * kept_tanh;
      const V v10 = v8 + v9;
      const V v11 = number<V>(1.0) - new_o;
      const V v12 = new_o * v11;
      const V v13 = v10 * v12;
      const V v14 = v13 * p_o;
      const V v15 = v7 + v14;
      const V v16 = v15 * gate_g;
      const V v17 = v0 + v16;
      const V v18 = number<V>(1.0) - new_i;
      const V v19 = new_i * v18;
      const V v20 = v17 * v19;
      const V v21 = d_f + dy_f;
      const V v22 = v15 * old_c;
      const V v23 = v21 + v22;
      const V v24 = number<V>(1.0) - new_f;
      const V v25 = new_f * v24;
      const V v26 = v23 * v25;
      const V v27 = v15 * new_i;
      const V v28 = gate_g * gate_g;
      const V v29 = number<V>(1.0) - v28;
      const V v30 = v27 * v29;
      const V v31 = v20 * p_i;
      const V v32 = v15 * new_f;
      const V v33 = v31 + v32;
      const V v34 = v26 * p_f;
      const V v35 = v33 + v34;
      const V v36 = v20 * old_c;
      const V v37 = v26 * old_c;
      const V v38 = v13 * new_c;
      HG_STORE(0, v20);
      HG_STORE(1, v26);
      HG_STORE(2, v30);
      HG_STORE(3, v13);
      HG_STORE(4, v35);
      HG_SUM(5, v36);
      HG_SUM(6, v37);
      HG_SUM(7, v38);
    }
  }
}

template <class V>
void greff_fgr_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 4, 4) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      const V dv_1 = HG_READ(1);
      const V dv_2 = HG_READ(2);
      const V dv_3 = HG_READ(3);
      HG_STORE(0, dv_0);
      HG_STORE(1, dv_1);
      HG_STORE(2, dv_2);
      HG_STORE(3, dv_3);
    }
  }
}

template <class V>
void greff_fgr_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 15, 11) {
    const V along_highway = HG_ONCE(12);
    HG_UNITS {
      const V d_i = HG_READ(0);
      const V d_c = HG_READ(1);
      const V d_o = HG_READ(2);
      const V d_h = HG_READ(3);
      const V kept_tanh = HG_READ(4);
      const V new_o = HG_READ(5);
      const V p_o = HG_READ(6);
      const V gate_g = HG_READ(7);
      const V new_i = HG_READ(8);
      const V d_f = HG_READ(9);
      const V old_c = HG_READ(10);
      const V new_f = HG_READ(11);
      const V p_f = HG_READ(13);
      const V p_i = HG_READ(14);
      const V v0 = d_h * kept_tanh;
      const V v1 = d_o + v0;
      const V v2 = number<V>(1.0) - new_o;
      const V v3 = new_o * v2;
      const V v4 = v3 * p_o;
      const V v5 = v1 * v4;
      const V v6 = d_c + v5;
      const V v7 = kept_tanh * kept_tanh;
      const V v8 = number<V>(1.0) - v7;
      const V v9 = new_o * v8;
      const V v10 = d_h * v9;
      const V v11 = v6 + v10;
      const V v12 = v11 * gate_g;
      const V v13 = d_i + v12;
      const V v14 = number<V>(1.0) - new_i;
      const V v15 = new_i * v14;
      const V v16 = v13 * v15;
      const V v17 = v11 * old_c;
      const V v18 = d_f + v17;
      const V v19 = number<V>(1.0) - new_f;
      const V v20 = new_f * v19;
      const V v21 = v18 * v20;
      const V v22 = gate_g * gate_g;
      const V v23 = number<V>(1.0) - v22;
      const V v24 = new_i * v23;
      const V v25 = v11 * v24;
      const V v26 = v1 * v3;
      const V v27 = v20 * p_f;
      const V v28 = v18 * v27;
      const V v29 = v15 * p_i;
      const V v30 = v13 * v29;
      const V v31 = v28 + v30;
      const V v32 = v11 * new_f;
      const V v33 = v31 + v32;
      const V v34 = along_highway * v33;
      HG_STORE(0, v16);
      HG_STORE(1, v21);
      HG_STORE(2, v25);
      HG_STORE(3, v26);
      HG_STORE(4, v34);
      HG_STORE(5, d_h);
      HG_STORE(6, v11);
      HG_STORE(7, v13);
      HG_STORE(8, v18);
      HG_STORE(9, v1);
      HG_KEEP(10, v33);
    }
  }
}

template <class V>
void greff_fgr_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 4, 4) {
    HG_UNITS {
      const V dw_0 = HG_READ(0);
      const V dw_1 = HG_READ(1);
      const V dw_2 = HG_READ(2);
      const V dw_3 = HG_READ(3);
      HG_STORE(0, dw_0);
      HG_STORE(1, dw_1);
      HG_STORE(2, dw_2);
      HG_STORE(3, dw_3);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT_BY_TWOS(greff_fgr_forward_0)
HG_EXPORT_BY_TWOS(greff_fgr_backward_0)
HG_EXPORT(greff_fgr_backward_1)
HG_EXPORT_BY_TWOS(greff_fgr_adjoint_0)
HG_EXPORT(greff_fgr_adjoint_1)
