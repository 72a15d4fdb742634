// LSTM(peephole=True): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void peephole_lstm_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 12, 7) {
    HG_UNITS {
      const V x_o = HG_READ(0);
      const V U_o = HG_READ(1);
      const V p_o = HG_READ(2);
      const V x_f = HG_READ(3);
      const V U_f = HG_READ(4);
      const V p_f = HG_READ(5);
      const V old_c = HG_READ(6);
      const V x_i = HG_READ(7);
      const V U_i = HG_READ(8);
      const V p_i = HG_READ(9);
      const V x_g = HG_READ(10);
      const V U_g = HG_READ(11);
      const V v0 = x_o + U_o;
      const V v1 = x_f + U_f;
      const V v2 = p_f * old_c;
      const V v3 = v1 + v2;
      const V gate_f = sigmoid(v3);
      const V v4 = gate_f * old_c;
      const V v5 = x_i + U_i;
      const V v6 = p_i * old_c;
      const V v7 = v5 + v6;
      const V gate_i = sigmoid(v7);
      const V v8 = x_g + U_g;
      const V gate_g = tanh(v8);
      const V v9 = gate_i * gate_g;
      const V new_c = v4 + v9;
      const V v10 = p_o * new_c;
      const V v11 = v0 + v10;
      const V gate_o = sigmoid(v11);
      const V v12 = tanh(new_c);
      const V new_h = gate_o * v12;
      HG_STORE(0, new_h);
      HG_STORE(1, new_c);
      HG_KEEP(2, gate_o);
      HG_KEEP(3, v12);
      HG_KEEP(4, gate_g);
      HG_KEEP(5, gate_i);
      HG_KEEP(6, gate_f);
    }
  }
}

template <class V>
void peephole_lstm_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 14, 8) {
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dy_c = HG_READ(1);
      const V d_h = HG_READ(2);
      const V dy_h = HG_READ(3);
      const V gate_o = HG_READ(4);
      const V kept_tanh = HG_READ(5);
      const V p_o = HG_READ(6);
      const V gate_g = HG_READ(7);
      const V gate_i = HG_READ(8);
      const V old_c = HG_READ(9);
      const V gate_f = HG_READ(10);
      const V p_i = HG_READ(11);
      const V p_f = HG_READ(12);
      const V new_c = HG_READ(13);
      const V v0 = d_c + dy_c;
      const V v1 = d_h + dy_h;
      const V v2 = v1 * gate_o;
      const V v3 = kept_tanh * kept_tanh;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = v0 + v5;
      const V v7 = v1 * kept_tanh;
      const V v8 = number<V>(1.0) - gate_o;
      const V v9 = gate_o * v8;
      const V v10 = v7 * v9;
      const V v11 = v10 * p_o;
      const V v12 = v6 + v11;
      const V v13 = v12 * gate_g;
      const V v14 = number<V>(1.0) - gate_i;
      const V v15 = gate_i * v14;
      const V v16 = v13 * v15;
      const V v17 = v12 * old_c;
      const V v18 = number<V>(1.0) - gate_f;
      const V v19 = gate_f * v18;
      const V v20 = v17 * v19;
      const V v21 = v12 * gate_i;
      const V v22 = gate_g * gate_g;
      const V v23 = number<V>(1.0) - v22;
      const V v24 = v21 * v23;
      const V v25 = v16 * p_i;
      const V v26 = v12 * gate_f;
      const V v27 = v25 + v26;
      const V v28 = v20 * p_f;
      const V v29 = v27 + v28;
      const V v30 = v16 * old_c;
      const V v31 = v20 * old_c;
      const V v32 = v10 * new_c;
      HG_STORE(0, v16);
      HG_STORE(1, v20);
      HG_STORE(2, v24);
      HG_STORE(3, v10);
      HG_STORE(4, v29);
      HG_SUM(5, v30);
      HG_SUM(6, v31);
      HG_SUM(7, v32);
    }
  }
}

template <class V>
void peephole_lstm_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      HG_STORE(0, dv_0);
    }
  }
}

template <class V>
void peephole_lstm_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 12, 8) {
    const V along_highway = HG_ONCE(9);
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V d_h = HG_READ(1);
      const V gate_o = HG_READ(2);
      const V kept_tanh = HG_READ(3);
      const V p_o = HG_READ(4);
      const V gate_g = HG_READ(5);
      const V gate_i = HG_READ(6);
      const V old_c = HG_READ(7);
      const V gate_f = HG_READ(8);
      const V p_i = HG_READ(10);
      const V p_f = HG_READ(11);
      const V v0 = kept_tanh * kept_tanh;
      const V v1 = number<V>(1.0) - v0;
      const V v2 = gate_o * v1;
      const V v3 = number<V>(1.0) - gate_o;
      const V v4 = gate_o * v3;
      const V v5 = kept_tanh * v4;
      const V v6 = v5 * p_o;
      const V v7 = v2 + v6;
      const V v8 = d_h * v7;
      const V v9 = d_c + v8;
      const V v10 = number<V>(1.0) - gate_i;
      const V v11 = gate_i * v10;
      const V v12 = gate_g * v11;
      const V v13 = v9 * v12;
      const V v14 = number<V>(1.0) - gate_f;
      const V v15 = gate_f * v14;
      const V v16 = old_c * v15;
      const V v17 = v9 * v16;
      const V v18 = gate_g * gate_g;
      const V v19 = number<V>(1.0) - v18;
      const V v20 = gate_i * v19;
      const V v21 = v9 * v20;
      const V v22 = d_h * v5;
      const V v23 = v12 * p_i;
      const V v24 = v23 + gate_f;
      const V v25 = v16 * p_f;
      const V v26 = v24 + v25;
      const V v27 = v9 * v26;
      const V v28 = along_highway * v27;
      HG_STORE(0, v13);
      HG_STORE(1, v17);
      HG_STORE(2, v21);
      HG_STORE(3, v22);
      HG_STORE(4, v28);
      HG_STORE(5, d_h);
      HG_STORE(6, v9);
      HG_KEEP(7, v27);
    }
  }
}

template <class V>
void peephole_lstm_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dw_0 = HG_READ(0);
      HG_STORE(0, dw_0);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT_BY_TWOS(peephole_lstm_forward_0)
HG_EXPORT_BY_TWOS(peephole_lstm_backward_0)
HG_EXPORT(peephole_lstm_backward_1)
HG_EXPORT_BY_TWOS(peephole_lstm_adjoint_0)
HG_EXPORT(peephole_lstm_adjoint_1)
