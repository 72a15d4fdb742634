// LSTM(peephole=True, full_gate_recurrence=True, projection=True): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void greff_fgr_projected_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 21, 7) {
    HG_UNITS {
      const V x_f = HG_READ(0);
      const V U_f = HG_READ(1);
      const V p_f = HG_READ(2);
      const V old_c = HG_READ(3);
      const V U_i_f = HG_READ(4);
      const V U_f_f = HG_READ(5);
      const V U_o_f = HG_READ(6);
      const V x_i = HG_READ(7);
      const V U_i = HG_READ(8);
      const V p_i = HG_READ(9);
      const V U_i_i = HG_READ(10);
      const V U_f_i = HG_READ(11);
      const V U_o_i = HG_READ(12);
      const V x_g = HG_READ(13);
      const V U_g = HG_READ(14);
      const V x_o = HG_READ(15);
      const V U_o = HG_READ(16);
      const V p_o = HG_READ(17);
      const V U_i_o = HG_READ(18);
      const V U_f_o = HG_READ(19);
      const V U_o_o = HG_READ(20);
      const V v0 = x_f + U_f;
      const V v1 = p_f * old_c;
      const V v2 = v0 + v1;
      const V v3 = v2 + U_i_f;
      const V v4 = v3 + U_f_f;
      const V v5 = v4 + U_o_f;
      const V new_f = sigmoid(v5);
      const V v6 = new_f * old_c;
      const V v7 = x_i + U_i;
      const V v8 = p_i * old_c;
      const V v9 = v7 + v8;
      const V v10 = v9 + U_i_i;
      const V v11 = v10 + U_f_i;
      const V v12 = v11 + U_o_i;
      const V new_i = sigmoid(v12);
      const V v13 = x_g + U_g;
      const V gate_g = tanh(v13);
      const V v14 = new_i * gate_g;
      const V new_c = v6 + v14;
      const V v15 = x_o + U_o;
      const V v16 = p_o * new_c;
      const V v17 = v15 + v16;
      const V v18 = v17 + U_i_o;
      const V v19 = v18 + U_f_o;
      const V v20 = v19 + U_o_o;
      const V new_o = sigmoid(v20);
      const V v21 = tanh(new_c);
      const V v22 = new_o * v21;
      HG_STORE(0, new_c);
      HG_STORE(1, new_i);
      HG_STORE(2, new_f);
      HG_STORE(3, new_o);
      HG_STORE(4, v22);
      HG_KEEP(5, v21);
      HG_KEEP(6, gate_g);
    }
  }
}

template <class V>
void greff_fgr_projected_forward_1(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V U_r = HG_READ(0);
      HG_STORE(0, U_r);
    }
  }
}

template <class V>
void greff_fgr_projected_backward_0(const hg_tile& tile) {
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
void greff_fgr_projected_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 19, 8) {
    HG_UNITS {
      const V d_i = HG_READ(0);
      const V dy_i = HG_READ(1);
      const V d_c = HG_READ(2);
      const V dy_c = HG_READ(3);
      const V dv_4 = HG_READ(4);
      const V new_o = HG_READ(5);
      const V kept_tanh = HG_READ(6);
      const V d_o = HG_READ(7);
      const V dy_o = HG_READ(8);
      const V p_o = HG_READ(9);
      const V gate_g = HG_READ(10);
      const V new_i = HG_READ(11);
      const V d_f = HG_READ(12);
      const V dy_f = HG_READ(13);
      const V old_c = HG_READ(14);
      const V new_f = HG_READ(15);
      const V p_i = HG_READ(16);
      const V p_f = HG_READ(17);
      const V new_c = HG_READ(18);
      const V v0 = d_i + dy_i;
      const V v1 = d_c + dy_c;
      const V v2 = dv_4 * new_o;
      const V v3 = kept_tanh * kept_tanh;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = v1 + v5;
      const V v7 = d_o + dy_o;
      const V v8 = dv_4 * kept_tanh;
      const V v9 = v7 + v8;
      const V v10 = number<V>(1.0) - new_o;
      const V v11 = new_o * v10;
      const V v12 = v9 * v11;
      const V v13 = v12 * p_o;
      const V v14 = v6 + v13;
      const V v15 = v14 * gate_g;
      const V v16 = v0 + v15;
      const V v17 = number<V>(1.0) - new_i;
      const V v18 = new_i * v17;
      const V v19 = v16 * v18;
      const V v20 = d_f + dy_f;
      const V v21 = v14 * old_c;
      const V v22 = v20 + v21;
      const V v23 = number<V>(1.0) - new_f;
      const V v24 = new_f * v23;
      const V v25 = v22 * v24;
      const V v26 = v14 * new_i;
      const V v27 = gate_g * gate_g;
      const V v28 = number<V>(1.0) - v27;
      const V v29 = v26 * v28;
      const V v30 = v19 * p_i;
      const V v31 = v14 * new_f;
      const V v32 = v30 + v31;
      const V v33 = v25 * p_f;
      const V v34 = v32 + v33;
      const V v35 = v19 * old_c;
      const V v36 = v25 * old_c;
      const V v37 = v12 * new_c;
      HG_STORE(0, v19);
      HG_STORE(1, v25);
      HG_STORE(2, v29);
      HG_STORE(3, v12);
      HG_STORE(4, v34);
      HG_SUM(5, v35);
      HG_SUM(6, v36);
      HG_SUM(7, v37);
    }
  }
}

template <class V>
void greff_fgr_projected_backward_2(const hg_tile& tile) {
  HG_PASS(tile, 3, 3) {
    HG_UNITS {
      const V dv_1 = HG_READ(0);
      const V dv_2 = HG_READ(1);
      const V dv_3 = HG_READ(2);
      HG_STORE(0, dv_1);
      HG_STORE(1, dv_2);
      HG_STORE(2, dv_3);
    }
  }
}

template <class V>
void greff_fgr_projected_backward_3(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      HG_STORE(0, dv_0);
    }
  }
}

template <class V>
void greff_fgr_projected_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 1, 2) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      HG_STORE(0, d_h);
      HG_STORE(1, d_h);
    }
  }
}

template <class V>
void greff_fgr_projected_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 15, 10) {
    const V along_highway = HG_ONCE(12);
    HG_UNITS {
      const V d_i = HG_READ(0);
      const V d_c = HG_READ(1);
      const V d_o = HG_READ(2);
      const V dv_4 = HG_READ(3);
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
      const V v0 = dv_4 * kept_tanh;
      const V v1 = d_o + v0;
      const V v2 = number<V>(1.0) - new_o;
      const V v3 = new_o * v2;
      const V v4 = v3 * p_o;
      const V v5 = v1 * v4;
      const V v6 = d_c + v5;
      const V v7 = kept_tanh * kept_tanh;
      const V v8 = number<V>(1.0) - v7;
      const V v9 = new_o * v8;
      const V v10 = dv_4 * v9;
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
      HG_STORE(5, v11);
      HG_STORE(6, v13);
      HG_STORE(7, v18);
      HG_STORE(8, v1);
      HG_KEEP(9, v33);
    }
  }
}

template <class V>
void greff_fgr_projected_adjoint_2(const hg_tile& tile) {
  HG_PASS(tile, 3, 3) {
    HG_UNITS {
      const V dw_1 = HG_READ(0);
      const V dw_2 = HG_READ(1);
      const V dw_3 = HG_READ(2);
      HG_STORE(0, dw_1);
      HG_STORE(1, dw_2);
      HG_STORE(2, dw_3);
    }
  }
}

template <class V>
void greff_fgr_projected_adjoint_3(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dw_0 = HG_READ(0);
      HG_STORE(0, dw_0);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT_BY_TWOS(greff_fgr_projected_forward_0)
HG_EXPORT(greff_fgr_projected_forward_1)
HG_EXPORT(greff_fgr_projected_backward_0)
HG_EXPORT_BY_TWOS(greff_fgr_projected_backward_1)
HG_EXPORT(greff_fgr_projected_backward_2)
HG_EXPORT(greff_fgr_projected_backward_3)
HG_EXPORT(greff_fgr_projected_adjoint_0)
HG_EXPORT_BY_TWOS(greff_fgr_projected_adjoint_1)
HG_EXPORT(greff_fgr_projected_adjoint_2)
HG_EXPORT(greff_fgr_projected_adjoint_3)
