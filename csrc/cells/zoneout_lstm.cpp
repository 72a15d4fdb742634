// LSTM(zoneout={'h': 0.5, 'c': 0.5}): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void zoneout_lstm_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 12, 7) {
    HG_UNITS {
      const V m_h = HG_READ(0);
      const V old_h = HG_READ(1);
      const V x_o = HG_READ(2);
      const V U_o = HG_READ(3);
      const V x_f = HG_READ(4);
      const V U_f = HG_READ(5);
      const V old_c = HG_READ(6);
      const V x_i = HG_READ(7);
      const V U_i = HG_READ(8);
      const V x_g = HG_READ(9);
      const V U_g = HG_READ(10);
      const V m_c = HG_READ(11);
      const V v0 = m_h * old_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = x_o + U_o;
      const V gate_o = sigmoid(v2);
      const V v3 = x_f + U_f;
      const V gate_f = sigmoid(v3);
      const V v4 = gate_f * old_c;
      const V v5 = x_i + U_i;
      const V gate_i = sigmoid(v5);
      const V v6 = x_g + U_g;
      const V gate_g = tanh(v6);
      const V v7 = gate_i * gate_g;
      const V v8 = v4 + v7;
      const V v9 = tanh(v8);
      const V v10 = gate_o * v9;
      const V v11 = v1 * v10;
      const V new_h = v0 + v11;
      const V v12 = m_c * old_c;
      const V v13 = number<V>(1.0) - m_c;
      const V v14 = v13 * v8;
      const V new_c = v12 + v14;
      HG_STORE(0, new_h);
      HG_STORE(1, new_c);
      HG_KEEP(2, gate_o);
      HG_KEEP(3, v9);
      HG_KEEP(4, gate_f);
      HG_KEEP(5, gate_g);
      HG_KEEP(6, gate_i);
    }
  }
}

template <class V>
void zoneout_lstm_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 12, 5) {
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dy_c = HG_READ(1);
      const V m_c = HG_READ(2);
      const V d_h = HG_READ(3);
      const V dy_h = HG_READ(4);
      const V m_h = HG_READ(5);
      const V gate_o = HG_READ(6);
      const V kept_tanh = HG_READ(7);
      const V gate_g = HG_READ(8);
      const V gate_i = HG_READ(9);
      const V old_c = HG_READ(10);
      const V gate_f = HG_READ(11);
      const V v0 = d_c + dy_c;
      const V v1 = number<V>(1.0) - m_c;
      const V v2 = v0 * v1;
      const V v3 = d_h + dy_h;
      const V v4 = number<V>(1.0) - m_h;
      const V v5 = v3 * v4;
      const V v6 = v5 * gate_o;
      const V v7 = kept_tanh * kept_tanh;
      const V v8 = number<V>(1.0) - v7;
      const V v9 = v6 * v8;
      const V v10 = v2 + v9;
      const V v11 = v10 * gate_g;
      const V v12 = number<V>(1.0) - gate_i;
      const V v13 = gate_i * v12;
      const V v14 = v11 * v13;
      const V v15 = v10 * old_c;
      const V v16 = number<V>(1.0) - gate_f;
      const V v17 = gate_f * v16;
      const V v18 = v15 * v17;
      const V v19 = v10 * gate_i;
      const V v20 = gate_g * gate_g;
      const V v21 = number<V>(1.0) - v20;
      const V v22 = v19 * v21;
      const V v23 = v5 * kept_tanh;
      const V v24 = number<V>(1.0) - gate_o;
      const V v25 = gate_o * v24;
      const V v26 = v23 * v25;
      const V v27 = v0 * m_c;
      const V v28 = v10 * gate_f;
      const V v29 = v27 + v28;
      HG_STORE(0, v14);
      HG_STORE(1, v18);
      HG_STORE(2, v22);
      HG_STORE(3, v26);
      HG_STORE(4, v29);
    }
  }
}

template <class V>
void zoneout_lstm_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 4, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      const V d_h = HG_READ(1);
      const V dy_h = HG_READ(2);
      const V m_h = HG_READ(3);
      const V v0 = d_h + dy_h;
      const V v1 = v0 * m_h;
      const V v2 = dv_0 + v1;
      HG_STORE(0, v2);
    }
  }
}

template <class V>
void zoneout_lstm_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 11, 9) {
    const V along_highway = HG_ONCE(10);
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V m_h = HG_READ(1);
      const V gate_o = HG_READ(2);
      const V kept_tanh = HG_READ(3);
      const V gate_g = HG_READ(4);
      const V gate_i = HG_READ(5);
      const V d_c = HG_READ(6);
      const V m_c = HG_READ(7);
      const V old_c = HG_READ(8);
      const V gate_f = HG_READ(9);
      const V v0 = number<V>(1.0) - m_h;
      const V v1 = v0 * gate_o;
      const V v2 = kept_tanh * kept_tanh;
      const V v3 = number<V>(1.0) - v2;
      const V v4 = v1 * v3;
      const V v5 = v4 * gate_g;
      const V v6 = number<V>(1.0) - gate_i;
      const V v7 = gate_i * v6;
      const V v8 = v5 * v7;
      const V v9 = d_h * v8;
      const V v10 = number<V>(1.0) - m_c;
      const V v11 = v10 * gate_g;
      const V v12 = v11 * v7;
      const V v13 = d_c * v12;
      const V v14 = v9 + v13;
      const V v15 = v4 * old_c;
      const V v16 = number<V>(1.0) - gate_f;
      const V v17 = gate_f * v16;
      const V v18 = v15 * v17;
      const V v19 = d_h * v18;
      const V v20 = v10 * old_c;
      const V v21 = v20 * v17;
      const V v22 = d_c * v21;
      const V v23 = v19 + v22;
      const V v24 = v4 * gate_i;
      const V v25 = gate_g * gate_g;
      const V v26 = number<V>(1.0) - v25;
      const V v27 = v24 * v26;
      const V v28 = d_h * v27;
      const V v29 = v10 * gate_i;
      const V v30 = v29 * v26;
      const V v31 = d_c * v30;
      const V v32 = v28 + v31;
      const V v33 = v0 * kept_tanh;
      const V v34 = number<V>(1.0) - gate_o;
      const V v35 = gate_o * v34;
      const V v36 = v33 * v35;
      const V v37 = d_h * v36;
      const V v38 = v4 * gate_f;
      const V v39 = d_h * v38;
      const V v40 = v10 * gate_f;
      const V v41 = v40 + m_c;
      const V v42 = d_c * v41;
      const V v43 = v39 + v42;
      const V v44 = along_highway * v43;
      const V v45 = d_h * m_h;
      HG_STORE(0, v14);
      HG_STORE(1, v23);
      HG_STORE(2, v32);
      HG_STORE(3, v37);
      HG_STORE(4, v44);
      HG_STORE(5, d_h);
      HG_STORE(6, d_c);
      HG_KEEP(7, v45);
      HG_KEEP(8, v43);
    }
  }
}

template <class V>
void zoneout_lstm_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 4, 1) {
    const V along_highway = HG_ONCE(0);
    HG_UNITS {
      const V d_h = HG_READ(1);
      const V m_h = HG_READ(2);
      const V dw_0 = HG_READ(3);
      const V v0 = d_h * m_h;
      const V v1 = along_highway * v0;
      const V v2 = v1 + dw_0;
      HG_STORE(0, v2);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT_BY_TWOS(zoneout_lstm_forward_0)
HG_EXPORT_BY_TWOS(zoneout_lstm_backward_0)
HG_EXPORT(zoneout_lstm_backward_1)
HG_EXPORT_BY_TWOS(zoneout_lstm_adjoint_0)
HG_EXPORT(zoneout_lstm_adjoint_1)
