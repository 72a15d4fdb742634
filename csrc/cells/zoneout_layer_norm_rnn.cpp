// RNN(layer_norm=True, zoneout={'h': 0.5}): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void zoneout_layer_norm_rnn_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    V sum_0{};
    HG_UNITS {
      const V x_h = HG_READ(0);
      HG_ADD(sum_0, x_h);
    }
    HG_ADDED(0, sum_0);
  }
}

template <class V>
void zoneout_layer_norm_rnn_forward_1(const hg_tile& tile) {
  HG_PASS(tile, 3, 4) {
    const V kept_mean = HG_ONCE(1);
    V sum_1{};
    V sum_3{};
    HG_UNITS {
      const V U_h = HG_READ(0);
      const V x_h = HG_READ(2);
      const V v0 = x_h - kept_mean;
      const V v1 = v0 * v0;
      HG_STORE(0, U_h);
      HG_ADD(sum_1, U_h);
      HG_ADD(sum_3, v1);
    }
    HG_ADDED(1, sum_1);
    HG_STORE_ONCE(2, kept_mean);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void zoneout_layer_norm_rnn_forward_2(const hg_tile& tile) {
  HG_PASS(tile, 3, 3) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V v0 = kept_mean + number<V>(1e-05);
    const V v1 = sqrt(v0);
    V sum_2{};
    HG_UNITS {
      const V U_h = HG_READ(2);
      const V v2 = U_h - kept_mean0;
      const V v3 = v2 * v2;
      HG_ADD(sum_2, v3);
    }
    HG_STORE_ONCE(0, v1);
    HG_STORE_ONCE(1, kept_mean0);
    HG_ADDED(2, sum_2);
  }
}

template <class V>
void zoneout_layer_norm_rnn_forward_3(const hg_tile& tile) {
  HG_PASS(tile, 11, 3) {
    const V kept_mean = HG_ONCE(4);
    const V kept_sqrt = HG_ONCE(5);
    const V kept_mean0 = HG_ONCE(9);
    const V kept_mean1 = HG_ONCE(10);
    const V v7 = kept_mean1 + number<V>(1e-05);
    const V v8 = sqrt(v7);
    HG_UNITS {
      const V m_h = HG_READ(0);
      const V old_h = HG_READ(1);
      const V p_w_h = HG_READ(2);
      const V x_h = HG_READ(3);
      const V p_b_h = HG_READ(6);
      const V p_u_h = HG_READ(7);
      const V U_h = HG_READ(8);
      const V v0 = m_h * old_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = x_h - kept_mean;
      const V v3 = v2 / kept_sqrt;
      const V v4 = p_w_h * v3;
      const V v5 = v4 + p_b_h;
      const V v6 = U_h - kept_mean0;
      const V v9 = v6 / v8;
      const V v10 = p_u_h * v9;
      const V v11 = v5 + v10;
      const V v12 = tanh(v11);
      const V v13 = v1 * v12;
      const V new_h = v0 + v13;
      HG_STORE(0, new_h);
      HG_KEEP(1, v12);
    }
    HG_KEEP_ONCE(2, v8);
  }
}

template <class V>
void zoneout_layer_norm_rnn_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 12, 5) {
    const V kept_mean = HG_ONCE(5);
    const V kept_sqrt = HG_ONCE(6);
    const V kept_mean0 = HG_ONCE(8);
    const V kept_sqrt0 = HG_ONCE(9);
    const V v15 = number<V>(0.5) / kept_sqrt0;
    const V v21 = number<V>(0.5) / kept_sqrt;
    V sum_3{};
    V sum_4{};
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V m_h = HG_READ(2);
      const V kept_tanh = HG_READ(3);
      const V U_h = HG_READ(4);
      const V x_h = HG_READ(7);
      const V p_w_h = HG_READ(10);
      const V p_u_h = HG_READ(11);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v0 * v1;
      const V v3 = kept_tanh * kept_tanh;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = U_h - kept_mean;
      const V v7 = v6 / kept_sqrt;
      const V v8 = v5 * v7;
      const V v9 = x_h - kept_mean0;
      const V v10 = v9 / kept_sqrt0;
      const V v11 = v5 * v10;
      const V v12 = v5 * p_w_h;
      const V v13 = v10 / kept_sqrt0;
      const V v14 = v12 * v13;
      const V v16 = v14 * v15;
      const V v17 = -v16;
      const V v18 = v5 * p_u_h;
      const V v19 = v7 / kept_sqrt;
      const V v20 = v18 * v19;
      const V v22 = v20 * v21;
      const V v23 = -v22;
      HG_SUM(0, v8);
      HG_SUM(1, v11);
      HG_SUM(2, v5);
      HG_ADD(sum_3, v17);
      HG_ADD(sum_4, v23);
    }
    HG_ADDED(3, sum_3);
    HG_ADDED(4, sum_4);
  }
}

template <class V>
void zoneout_layer_norm_rnn_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 14, 4) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean1 = HG_ONCE(9);
    const V kept_sqrt0 = HG_ONCE(11);
    const V kept_mean2 = HG_ONCE(13);
    const V v7 = number<V>(1.0) / kept_sqrt;
    const V v15 = number<V>(1.0) / kept_sqrt0;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V d_h = HG_READ(2);
      const V dy_h = HG_READ(3);
      const V m_h = HG_READ(4);
      const V kept_tanh = HG_READ(5);
      const V p_w_h = HG_READ(6);
      const V x_h = HG_READ(8);
      const V p_u_h = HG_READ(10);
      const V U_h = HG_READ(12);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v0 * v1;
      const V v3 = kept_tanh * kept_tanh;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = v5 * p_w_h;
      const V v8 = v6 * v7;
      const V v9 = x_h - kept_mean1;
      const V v10 = kept_mean * v9;
      const V v11 = v8 + v10;
      const V v12 = v11 + v10;
      const V v13 = -v12;
      const V v14 = v5 * p_u_h;
      const V v16 = v14 * v15;
      const V v17 = U_h - kept_mean2;
      const V v18 = kept_mean0 * v17;
      const V v19 = v16 + v18;
      const V v20 = v19 + v18;
      const V v21 = -v20;
      HG_ADD(sum_2, v13);
      HG_ADD(sum_3, v21);
    }
    HG_STORE_ONCE(0, kept_mean);
    HG_STORE_ONCE(1, kept_mean0);
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void zoneout_layer_norm_rnn_backward_2(const hg_tile& tile) {
  HG_PASS(tile, 16, 2) {
    const V kept_sqrt = HG_ONCE(5);
    const V kept_mean = HG_ONCE(6);
    const V kept_mean0 = HG_ONCE(8);
    const V kept_mean1 = HG_ONCE(9);
    const V kept_sqrt0 = HG_ONCE(11);
    const V kept_mean2 = HG_ONCE(12);
    const V kept_mean3 = HG_ONCE(14);
    const V kept_mean4 = HG_ONCE(15);
    const V v7 = number<V>(1.0) / kept_sqrt;
    const V v15 = number<V>(1.0) / kept_sqrt0;
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V m_h = HG_READ(2);
      const V kept_tanh = HG_READ(3);
      const V p_w_h = HG_READ(4);
      const V x_h = HG_READ(7);
      const V p_u_h = HG_READ(10);
      const V U_h = HG_READ(13);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v0 * v1;
      const V v3 = kept_tanh * kept_tanh;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = v5 * p_w_h;
      const V v8 = v6 * v7;
      const V v9 = x_h - kept_mean0;
      const V v10 = kept_mean * v9;
      const V v11 = v8 + v10;
      const V v12 = v11 + v10;
      const V v13 = v12 + kept_mean1;
      const V v14 = v5 * p_u_h;
      const V v16 = v14 * v15;
      const V v17 = U_h - kept_mean3;
      const V v18 = kept_mean2 * v17;
      const V v19 = v16 + v18;
      const V v20 = v19 + v18;
      const V v21 = v20 + kept_mean4;
      HG_STORE(0, v13);
      HG_STORE(1, v21);
    }
  }
}

template <class V>
void zoneout_layer_norm_rnn_backward_3(const hg_tile& tile) {
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
void zoneout_layer_norm_rnn_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 11, 4) {
    const V kept_mean = HG_ONCE(5);
    const V kept_sqrt = HG_ONCE(6);
    const V kept_mean0 = HG_ONCE(9);
    const V kept_sqrt0 = HG_ONCE(10);
    const V v10 = number<V>(0.5) / kept_sqrt;
    const V v19 = number<V>(0.5) / kept_sqrt0;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V m_h = HG_READ(1);
      const V kept_tanh = HG_READ(2);
      const V p_w_h = HG_READ(3);
      const V x_h = HG_READ(4);
      const V p_u_h = HG_READ(7);
      const V U_h = HG_READ(8);
      const V v0 = d_h * m_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = kept_tanh * kept_tanh;
      const V v3 = number<V>(1.0) - v2;
      const V v4 = v1 * v3;
      const V v5 = v4 * p_w_h;
      const V v6 = x_h - kept_mean;
      const V v7 = v6 / kept_sqrt;
      const V v8 = v7 / kept_sqrt;
      const V v9 = v5 * v8;
      const V v11 = v9 * v10;
      const V v12 = d_h * v11;
      const V v13 = -v12;
      const V v14 = v4 * p_u_h;
      const V v15 = U_h - kept_mean0;
      const V v16 = v15 / kept_sqrt0;
      const V v17 = v16 / kept_sqrt0;
      const V v18 = v14 * v17;
      const V v20 = v18 * v19;
      const V v21 = d_h * v20;
      const V v22 = -v21;
      HG_STORE(0, d_h);
      HG_KEEP(1, v0);
      HG_ADD(sum_2, v13);
      HG_ADD(sum_3, v22);
    }
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void zoneout_layer_norm_rnn_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 13, 4) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V kept_mean1 = HG_ONCE(3);
    const V kept_sqrt = HG_ONCE(8);
    const V kept_mean2 = HG_ONCE(10);
    const V kept_sqrt0 = HG_ONCE(12);
    const V v9 = number<V>(1.0) / kept_sqrt;
    const V v18 = number<V>(1.0) / kept_sqrt0;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V x_h = HG_READ(2);
      const V d_h = HG_READ(4);
      const V m_h = HG_READ(5);
      const V kept_tanh = HG_READ(6);
      const V p_w_h = HG_READ(7);
      const V U_h = HG_READ(9);
      const V p_u_h = HG_READ(11);
      const V v0 = x_h - kept_mean1;
      const V v1 = v0 + v0;
      const V v2 = kept_mean * v1;
      const V v3 = -v2;
      const V v4 = number<V>(1.0) - m_h;
      const V v5 = kept_tanh * kept_tanh;
      const V v6 = number<V>(1.0) - v5;
      const V v7 = v4 * v6;
      const V v8 = v7 * p_w_h;
      const V v10 = v8 * v9;
      const V v11 = d_h * v10;
      const V v12 = v3 - v11;
      const V v13 = U_h - kept_mean2;
      const V v14 = v13 + v13;
      const V v15 = kept_mean0 * v14;
      const V v16 = -v15;
      const V v17 = v7 * p_u_h;
      const V v19 = v17 * v18;
      const V v20 = d_h * v19;
      const V v21 = v16 - v20;
      HG_ADD(sum_2, v12);
      HG_ADD(sum_3, v21);
    }
    HG_STORE_ONCE(0, kept_mean);
    HG_STORE_ONCE(1, kept_mean0);
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void zoneout_layer_norm_rnn_adjoint_2(const hg_tile& tile) {
  HG_PASS(tile, 15, 2) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(2);
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean1 = HG_ONCE(8);
    const V kept_mean2 = HG_ONCE(9);
    const V kept_mean3 = HG_ONCE(11);
    const V kept_sqrt0 = HG_ONCE(13);
    const V kept_mean4 = HG_ONCE(14);
    const V v8 = number<V>(1.0) / kept_sqrt;
    const V v17 = number<V>(1.0) / kept_sqrt0;
    HG_UNITS {
      const V x_h = HG_READ(1);
      const V d_h = HG_READ(3);
      const V m_h = HG_READ(4);
      const V kept_tanh = HG_READ(5);
      const V p_w_h = HG_READ(6);
      const V U_h = HG_READ(10);
      const V p_u_h = HG_READ(12);
      const V v0 = x_h - kept_mean0;
      const V v1 = v0 + v0;
      const V v2 = kept_mean * v1;
      const V v3 = number<V>(1.0) - m_h;
      const V v4 = kept_tanh * kept_tanh;
      const V v5 = number<V>(1.0) - v4;
      const V v6 = v3 * v5;
      const V v7 = v6 * p_w_h;
      const V v9 = v7 * v8;
      const V v10 = d_h * v9;
      const V v11 = v2 + v10;
      const V v12 = v11 + kept_mean1;
      const V v13 = U_h - kept_mean3;
      const V v14 = v13 + v13;
      const V v15 = kept_mean2 * v14;
      const V v16 = v6 * p_u_h;
      const V v18 = v16 * v17;
      const V v19 = d_h * v18;
      const V v20 = v15 + v19;
      const V v21 = v20 + kept_mean4;
      HG_STORE(0, v12);
      HG_STORE(1, v21);
    }
  }
}

template <class V>
void zoneout_layer_norm_rnn_adjoint_3(const hg_tile& tile) {
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

HG_EXPORT(zoneout_layer_norm_rnn_forward_0)
HG_EXPORT(zoneout_layer_norm_rnn_forward_1)
HG_EXPORT(zoneout_layer_norm_rnn_forward_2)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_rnn_forward_3)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_rnn_backward_0)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_rnn_backward_1)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_rnn_backward_2)
HG_EXPORT(zoneout_layer_norm_rnn_backward_3)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_rnn_adjoint_0)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_rnn_adjoint_1)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_rnn_adjoint_2)
HG_EXPORT(zoneout_layer_norm_rnn_adjoint_3)
