// LSTM(coupled=True): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void cifg_lstm_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 7, 6) {
    HG_UNITS {
      const V x_o = HG_READ(0);
      const V U_o = HG_READ(1);
      const V x_i = HG_READ(2);
      const V U_i = HG_READ(3);
      const V old_c = HG_READ(4);
      const V x_g = HG_READ(5);
      const V U_g = HG_READ(6);
      const V v0 = x_o + U_o;
      const V gate_o = sigmoid(v0);
      const V v1 = x_i + U_i;
      const V gate_i = sigmoid(v1);
      const V gate_f = number<V>(1.0) - gate_i;
      const V v2 = gate_f * old_c;
      const V v3 = x_g + U_g;
      const V gate_g = tanh(v3);
      const V v4 = gate_i * gate_g;
      const V new_c = v2 + v4;
      const V v5 = tanh(new_c);
      const V new_h = gate_o * v5;
      HG_STORE(0, new_h);
      HG_STORE(1, new_c);
      HG_KEEP(2, gate_o);
      HG_KEEP(3, v5);
      HG_KEEP(4, gate_i);
      HG_KEEP(5, gate_g);
    }
  }
}

template <class V>
void cifg_lstm_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 9, 4) {
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dy_c = HG_READ(1);
      const V d_h = HG_READ(2);
      const V dy_h = HG_READ(3);
      const V gate_o = HG_READ(4);
      const V kept_tanh = HG_READ(5);
      const V gate_g = HG_READ(6);
      const V old_c = HG_READ(7);
      const V gate_i = HG_READ(8);
      const V v0 = d_c + dy_c;
      const V v1 = d_h + dy_h;
      const V v2 = v1 * gate_o;
      const V v3 = kept_tanh * kept_tanh;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = v0 + v5;
      const V v7 = v6 * gate_g;
      const V v8 = v6 * old_c;
      const V v9 = v7 - v8;
      const V gate_f = number<V>(1.0) - gate_i;
      const V v10 = gate_i * gate_f;
      const V v11 = v9 * v10;
      const V v12 = v6 * gate_i;
      const V v13 = gate_g * gate_g;
      const V v14 = number<V>(1.0) - v13;
      const V v15 = v12 * v14;
      const V v16 = v1 * kept_tanh;
      const V v17 = number<V>(1.0) - gate_o;
      const V v18 = gate_o * v17;
      const V v19 = v16 * v18;
      const V v20 = v6 * gate_f;
      HG_STORE(0, v11);
      HG_STORE(1, v15);
      HG_STORE(2, v19);
      HG_STORE(3, v20);
    }
  }
}

template <class V>
void cifg_lstm_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      HG_STORE(0, dv_0);
    }
  }
}

template <class V>
void cifg_lstm_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 8, 7) {
    const V along_highway = HG_ONCE(7);
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V d_h = HG_READ(1);
      const V gate_o = HG_READ(2);
      const V kept_tanh = HG_READ(3);
      const V gate_g = HG_READ(4);
      const V old_c = HG_READ(5);
      const V gate_i = HG_READ(6);
      const V v0 = kept_tanh * kept_tanh;
      const V v1 = number<V>(1.0) - v0;
      const V v2 = gate_o * v1;
      const V v3 = d_h * v2;
      const V v4 = d_c + v3;
      const V v5 = gate_g - old_c;
      const V gate_f = number<V>(1.0) - gate_i;
      const V v6 = gate_i * gate_f;
      const V v7 = v5 * v6;
      const V v8 = v4 * v7;
      const V v9 = gate_g * gate_g;
      const V v10 = number<V>(1.0) - v9;
      const V v11 = gate_i * v10;
      const V v12 = v4 * v11;
      const V v13 = number<V>(1.0) - gate_o;
      const V v14 = gate_o * v13;
      const V v15 = kept_tanh * v14;
      const V v16 = d_h * v15;
      const V v17 = v4 * gate_f;
      const V v18 = along_highway * v17;
      HG_STORE(0, v8);
      HG_STORE(1, v12);
      HG_STORE(2, v16);
      HG_STORE(3, v18);
      HG_STORE(4, d_h);
      HG_STORE(5, v4);
      HG_KEEP(6, v17);
    }
  }
}

template <class V>
void cifg_lstm_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dw_0 = HG_READ(0);
      HG_STORE(0, dw_0);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT_BY_TWOS(cifg_lstm_forward_0)
HG_EXPORT_BY_TWOS(cifg_lstm_backward_0)
HG_EXPORT(cifg_lstm_backward_1)
HG_EXPORT_BY_TWOS(cifg_lstm_adjoint_0)
HG_EXPORT(cifg_lstm_adjoint_1)
