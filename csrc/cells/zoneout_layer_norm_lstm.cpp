// LSTM(layer_norm=True, zoneout={'h': 0.5, 'c': 0.5}): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void zoneout_layer_norm_lstm_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 4, 1) {
    V sum_0{};
    HG_UNITS {
      const V x_i = HG_READ(0);
      const V x_f = HG_READ(1);
      const V x_g = HG_READ(2);
      const V x_o = HG_READ(3);
      const V v0 = x_i + x_f;
      const V v1 = v0 + x_g;
      const V v2 = v1 + x_o;
      HG_ADD(sum_0, v2);
    }
    HG_ADDED(0, sum_0);
  }
}

template <class V>
void zoneout_layer_norm_lstm_forward_1(const hg_tile& tile) {
  HG_PASS(tile, 9, 7) {
    const V kept_mean = HG_ONCE(4);
    V sum_5{};
    V sum_6{};
    HG_UNITS {
      const V U_i = HG_READ(0);
      const V U_f = HG_READ(1);
      const V U_g = HG_READ(2);
      const V U_o = HG_READ(3);
      const V x_i = HG_READ(5);
      const V x_f = HG_READ(6);
      const V x_g = HG_READ(7);
      const V x_o = HG_READ(8);
      const V v0 = x_i - kept_mean;
      const V v1 = v0 * v0;
      const V v2 = x_f - kept_mean;
      const V v3 = v2 * v2;
      const V v4 = v1 + v3;
      const V v5 = x_g - kept_mean;
      const V v6 = v5 * v5;
      const V v7 = v4 + v6;
      const V v8 = x_o - kept_mean;
      const V v9 = v8 * v8;
      const V v10 = v7 + v9;
      const V v11 = U_i + U_f;
      const V v12 = v11 + U_g;
      const V v13 = v12 + U_o;
      HG_STORE(0, U_i);
      HG_STORE(1, U_f);
      HG_STORE(2, U_g);
      HG_STORE(3, U_o);
      HG_ADD(sum_5, v10);
      HG_ADD(sum_6, v13);
    }
    HG_STORE_ONCE(4, kept_mean);
    HG_ADDED(5, sum_5);
    HG_ADDED(6, sum_6);
  }
}

template <class V>
void zoneout_layer_norm_lstm_forward_2(const hg_tile& tile) {
  HG_PASS(tile, 6, 3) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V v0 = kept_mean + number<V>(1e-05);
    const V v1 = sqrt(v0);
    V sum_2{};
    HG_UNITS {
      const V U_i = HG_READ(2);
      const V U_f = HG_READ(3);
      const V U_g = HG_READ(4);
      const V U_o = HG_READ(5);
      const V v2 = U_i - kept_mean0;
      const V v3 = v2 * v2;
      const V v4 = U_f - kept_mean0;
      const V v5 = v4 * v4;
      const V v6 = v3 + v5;
      const V v7 = U_g - kept_mean0;
      const V v8 = v7 * v7;
      const V v9 = v6 + v8;
      const V v10 = U_o - kept_mean0;
      const V v11 = v10 * v10;
      const V v12 = v9 + v11;
      HG_ADD(sum_2, v12);
    }
    HG_STORE_ONCE(0, v1);
    HG_STORE_ONCE(1, kept_mean0);
    HG_ADDED(2, sum_2);
  }
}

template <class V>
void zoneout_layer_norm_lstm_forward_3(const hg_tile& tile) {
  HG_PASS(tile, 26, 7) {
    const V kept_mean = HG_ONCE(4);
    const V kept_sqrt = HG_ONCE(5);
    const V kept_mean0 = HG_ONCE(9);
    const V kept_mean1 = HG_ONCE(10);
    const V v7 = kept_mean1 + number<V>(1e-05);
    const V v8 = sqrt(v7);
    V sum_6{};
    HG_UNITS {
      const V m_c = HG_READ(0);
      const V old_c = HG_READ(1);
      const V p_w_f = HG_READ(2);
      const V x_f = HG_READ(3);
      const V p_b_f = HG_READ(6);
      const V p_u_f = HG_READ(7);
      const V U_f = HG_READ(8);
      const V p_w_i = HG_READ(11);
      const V x_i = HG_READ(12);
      const V p_b_i = HG_READ(13);
      const V p_u_i = HG_READ(14);
      const V U_i = HG_READ(15);
      const V p_w_g = HG_READ(16);
      const V x_g = HG_READ(17);
      const V p_b_g = HG_READ(18);
      const V p_u_g = HG_READ(19);
      const V U_g = HG_READ(20);
      const V p_w_o = HG_READ(21);
      const V x_o = HG_READ(22);
      const V p_b_o = HG_READ(23);
      const V p_u_o = HG_READ(24);
      const V U_o = HG_READ(25);
      const V v0 = m_c * old_c;
      const V v1 = number<V>(1.0) - m_c;
      const V v2 = x_f - kept_mean;
      const V v3 = v2 / kept_sqrt;
      const V v4 = p_w_f * v3;
      const V v5 = v4 + p_b_f;
      const V v6 = U_f - kept_mean0;
      const V v9 = v6 / v8;
      const V v10 = p_u_f * v9;
      const V v11 = v5 + v10;
      const V gate_f = sigmoid(v11);
      const V v12 = gate_f * old_c;
      const V v13 = x_i - kept_mean;
      const V v14 = v13 / kept_sqrt;
      const V v15 = p_w_i * v14;
      const V v16 = v15 + p_b_i;
      const V v17 = U_i - kept_mean0;
      const V v18 = v17 / v8;
      const V v19 = p_u_i * v18;
      const V v20 = v16 + v19;
      const V gate_i = sigmoid(v20);
      const V v21 = x_g - kept_mean;
      const V v22 = v21 / kept_sqrt;
      const V v23 = p_w_g * v22;
      const V v24 = v23 + p_b_g;
      const V v25 = U_g - kept_mean0;
      const V v26 = v25 / v8;
      const V v27 = p_u_g * v26;
      const V v28 = v24 + v27;
      const V gate_g = tanh(v28);
      const V v29 = gate_i * gate_g;
      const V v30 = v12 + v29;
      const V v31 = v1 * v30;
      const V new_c = v0 + v31;
      const V v32 = x_o - kept_mean;
      const V v33 = v32 / kept_sqrt;
      const V v34 = p_w_o * v33;
      const V v35 = v34 + p_b_o;
      const V v36 = U_o - kept_mean0;
      const V v37 = v36 / v8;
      const V v38 = p_u_o * v37;
      const V v39 = v35 + v38;
      const V gate_o = sigmoid(v39);
      HG_STORE(0, new_c);
      HG_STORE(1, gate_f);
      HG_STORE(2, gate_i);
      HG_STORE(3, gate_g);
      HG_STORE(4, gate_o);
      HG_ADD(sum_6, v30);
    }
    HG_KEEP_ONCE(5, v8);
    HG_ADDED(6, sum_6);
  }
}

template <class V>
void zoneout_layer_norm_lstm_forward_4(const hg_tile& tile) {
  HG_PASS(tile, 5, 2) {
    const V kept_mean = HG_ONCE(0);
    V sum_1{};
    HG_UNITS {
      const V gate_f = HG_READ(1);
      const V old_c = HG_READ(2);
      const V gate_i = HG_READ(3);
      const V gate_g = HG_READ(4);
      const V v0 = gate_f * old_c;
      const V v1 = gate_i * gate_g;
      const V v2 = v0 + v1;
      const V v3 = v2 - kept_mean;
      const V v4 = v3 * v3;
      HG_ADD(sum_1, v4);
    }
    HG_STORE_ONCE(0, kept_mean);
    HG_ADDED(1, sum_1);
  }
}

template <class V>
void zoneout_layer_norm_lstm_forward_5(const hg_tile& tile) {
  HG_PASS(tile, 11, 3) {
    const V kept_mean = HG_ONCE(8);
    const V kept_mean0 = HG_ONCE(9);
    const V v6 = kept_mean0 + number<V>(1e-05);
    const V v7 = sqrt(v6);
    HG_UNITS {
      const V m_h = HG_READ(0);
      const V old_h = HG_READ(1);
      const V gate_o = HG_READ(2);
      const V p_gain_c = HG_READ(3);
      const V gate_f = HG_READ(4);
      const V old_c = HG_READ(5);
      const V gate_i = HG_READ(6);
      const V gate_g = HG_READ(7);
      const V p_bias_c = HG_READ(10);
      const V v0 = m_h * old_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = gate_f * old_c;
      const V v3 = gate_i * gate_g;
      const V v4 = v2 + v3;
      const V v5 = v4 - kept_mean;
      const V v8 = v5 / v7;
      const V v9 = p_gain_c * v8;
      const V v10 = v9 + p_bias_c;
      const V v11 = tanh(v10);
      const V v12 = gate_o * v11;
      const V v13 = v1 * v12;
      const V new_h = v0 + v13;
      HG_STORE(0, new_h);
      HG_KEEP(1, v11);
    }
    HG_KEEP_ONCE(2, v7);
  }
}

template <class V>
void zoneout_layer_norm_lstm_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 18, 6) {
    const V kept_mean = HG_ONCE(6);
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean0 = HG_ONCE(9);
    const V kept_sqrt0 = HG_ONCE(10);
    const V kept_mean1 = HG_ONCE(15);
    const V kept_sqrt1 = HG_ONCE(16);
    const V v26 = number<V>(0.5) / kept_sqrt1;
    V sum_5{};
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V m_h = HG_READ(2);
      const V kept_tanh = HG_READ(3);
      const V gate_o = HG_READ(4);
      const V U_o = HG_READ(5);
      const V x_o = HG_READ(8);
      const V gate_f = HG_READ(11);
      const V old_c = HG_READ(12);
      const V gate_i = HG_READ(13);
      const V gate_g = HG_READ(14);
      const V p_gain_c = HG_READ(17);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v0 * v1;
      const V v3 = v2 * kept_tanh;
      const V v4 = number<V>(1.0) - gate_o;
      const V v5 = gate_o * v4;
      const V v6 = v3 * v5;
      const V v7 = U_o - kept_mean;
      const V v8 = v7 / kept_sqrt;
      const V v9 = v6 * v8;
      const V v10 = x_o - kept_mean0;
      const V v11 = v10 / kept_sqrt0;
      const V v12 = v6 * v11;
      const V v13 = v2 * gate_o;
      const V v14 = kept_tanh * kept_tanh;
      const V v15 = number<V>(1.0) - v14;
      const V v16 = v13 * v15;
      const V v17 = gate_f * old_c;
      const V v18 = gate_i * gate_g;
      const V v19 = v17 + v18;
      const V v20 = v19 - kept_mean1;
      const V v21 = v20 / kept_sqrt1;
      const V v22 = v16 * v21;
      const V v23 = v16 * p_gain_c;
      const V v24 = v21 / kept_sqrt1;
      const V v25 = v23 * v24;
      const V v27 = v25 * v26;
      const V v28 = -v27;
      HG_SUM(0, v9);
      HG_SUM(1, v12);
      HG_SUM(2, v22);
      HG_SUM(3, v6);
      HG_SUM(4, v16);
      HG_ADD(sum_5, v28);
    }
    HG_ADDED(5, sum_5);
  }
}

template <class V>
void zoneout_layer_norm_lstm_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 13, 2) {
    const V kept_mean = HG_ONCE(0);
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean0 = HG_ONCE(12);
    const V v8 = number<V>(1.0) / kept_sqrt;
    V sum_1{};
    HG_UNITS {
      const V d_h = HG_READ(1);
      const V dy_h = HG_READ(2);
      const V m_h = HG_READ(3);
      const V gate_o = HG_READ(4);
      const V kept_tanh = HG_READ(5);
      const V p_gain_c = HG_READ(6);
      const V gate_f = HG_READ(8);
      const V old_c = HG_READ(9);
      const V gate_i = HG_READ(10);
      const V gate_g = HG_READ(11);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v0 * v1;
      const V v3 = v2 * gate_o;
      const V v4 = kept_tanh * kept_tanh;
      const V v5 = number<V>(1.0) - v4;
      const V v6 = v3 * v5;
      const V v7 = v6 * p_gain_c;
      const V v9 = v7 * v8;
      const V v10 = gate_f * old_c;
      const V v11 = gate_i * gate_g;
      const V v12 = v10 + v11;
      const V v13 = v12 - kept_mean0;
      const V v14 = kept_mean * v13;
      const V v15 = v9 + v14;
      const V v16 = v15 + v14;
      const V v17 = -v16;
      HG_ADD(sum_1, v17);
    }
    HG_STORE_ONCE(0, kept_mean);
    HG_ADDED(1, sum_1);
  }
}

template <class V>
void zoneout_layer_norm_lstm_backward_2(const hg_tile& tile) {
  HG_PASS(tile, 37, 13) {
    const V kept_sqrt = HG_ONCE(9);
    const V kept_mean = HG_ONCE(10);
    const V kept_mean0 = HG_ONCE(15);
    const V kept_mean1 = HG_ONCE(16);
    const V kept_mean2 = HG_ONCE(18);
    const V kept_sqrt0 = HG_ONCE(19);
    const V kept_mean3 = HG_ONCE(23);
    const V kept_sqrt1 = HG_ONCE(24);
    const V v12 = number<V>(1.0) / kept_sqrt;
    const V v77 = number<V>(0.5) / kept_sqrt1;
    const V v97 = number<V>(0.5) / kept_sqrt0;
    V sum_11{};
    V sum_12{};
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dy_c = HG_READ(1);
      const V m_c = HG_READ(2);
      const V d_h = HG_READ(3);
      const V dy_h = HG_READ(4);
      const V m_h = HG_READ(5);
      const V gate_o = HG_READ(6);
      const V kept_tanh = HG_READ(7);
      const V p_gain_c = HG_READ(8);
      const V gate_f = HG_READ(11);
      const V old_c = HG_READ(12);
      const V gate_i = HG_READ(13);
      const V gate_g = HG_READ(14);
      const V U_i = HG_READ(17);
      const V U_f = HG_READ(20);
      const V U_g = HG_READ(21);
      const V x_i = HG_READ(22);
      const V x_f = HG_READ(25);
      const V x_g = HG_READ(26);
      const V p_w_g = HG_READ(27);
      const V p_w_i = HG_READ(28);
      const V p_w_f = HG_READ(29);
      const V p_w_o = HG_READ(30);
      const V x_o = HG_READ(31);
      const V p_u_g = HG_READ(32);
      const V p_u_i = HG_READ(33);
      const V p_u_f = HG_READ(34);
      const V p_u_o = HG_READ(35);
      const V U_o = HG_READ(36);
      const V v0 = d_c + dy_c;
      const V v1 = v0 * m_c;
      const V v2 = number<V>(1.0) - m_c;
      const V v3 = v0 * v2;
      const V v4 = d_h + dy_h;
      const V v5 = number<V>(1.0) - m_h;
      const V v6 = v4 * v5;
      const V v7 = v6 * gate_o;
      const V v8 = kept_tanh * kept_tanh;
      const V v9 = number<V>(1.0) - v8;
      const V v10 = v7 * v9;
      const V v11 = v10 * p_gain_c;
      const V v13 = v11 * v12;
      const V v14 = gate_f * old_c;
      const V v15 = gate_i * gate_g;
      const V v16 = v14 + v15;
      const V v17 = v16 - kept_mean0;
      const V v18 = kept_mean * v17;
      const V v19 = v13 + v18;
      const V v20 = v19 + v18;
      const V v21 = v3 + v20;
      const V v22 = v21 + kept_mean1;
      const V v23 = v22 * gate_f;
      const V v24 = v1 + v23;
      const V v25 = v22 * gate_g;
      const V v26 = number<V>(1.0) - gate_i;
      const V v27 = gate_i * v26;
      const V v28 = v25 * v27;
      const V v29 = U_i - kept_mean2;
      const V v30 = v29 / kept_sqrt0;
      const V v31 = v28 * v30;
      const V v32 = v22 * old_c;
      const V v33 = number<V>(1.0) - gate_f;
      const V v34 = gate_f * v33;
      const V v35 = v32 * v34;
      const V v36 = U_f - kept_mean2;
      const V v37 = v36 / kept_sqrt0;
      const V v38 = v35 * v37;
      const V v39 = v22 * gate_i;
      const V v40 = gate_g * gate_g;
      const V v41 = number<V>(1.0) - v40;
      const V v42 = v39 * v41;
      const V v43 = U_g - kept_mean2;
      const V v44 = v43 / kept_sqrt0;
      const V v45 = v42 * v44;
      const V v46 = x_i - kept_mean3;
      const V v47 = v46 / kept_sqrt1;
      const V v48 = v28 * v47;
      const V v49 = x_f - kept_mean3;
      const V v50 = v49 / kept_sqrt1;
      const V v51 = v35 * v50;
      const V v52 = x_g - kept_mean3;
      const V v53 = v52 / kept_sqrt1;
      const V v54 = v42 * v53;
      const V v55 = v42 * p_w_g;
      const V v56 = v53 / kept_sqrt1;
      const V v57 = v55 * v56;
      const V v58 = -v57;
      const V v59 = v28 * p_w_i;
      const V v60 = v47 / kept_sqrt1;
      const V v61 = v59 * v60;
      const V v62 = v58 - v61;
      const V v63 = v35 * p_w_f;
      const V v64 = v50 / kept_sqrt1;
      const V v65 = v63 * v64;
      const V v66 = v62 - v65;
      const V v67 = v6 * kept_tanh;
      const V v68 = number<V>(1.0) - gate_o;
      const V v69 = gate_o * v68;
      const V v70 = v67 * v69;
      const V v71 = v70 * p_w_o;
      const V v72 = x_o - kept_mean3;
      const V v73 = v72 / kept_sqrt1;
      const V v74 = v73 / kept_sqrt1;
      const V v75 = v71 * v74;
      const V v76 = v66 - v75;
      const V v78 = v76 * v77;
      const V v79 = v42 * p_u_g;
      const V v80 = v44 / kept_sqrt0;
      const V v81 = v79 * v80;
      const V v82 = -v81;
      const V v83 = v28 * p_u_i;
      const V v84 = v30 / kept_sqrt0;
      const V v85 = v83 * v84;
      const V v86 = v82 - v85;
      const V v87 = v35 * p_u_f;
      const V v88 = v37 / kept_sqrt0;
      const V v89 = v87 * v88;
      const V v90 = v86 - v89;
      const V v91 = v70 * p_u_o;
      const V v92 = U_o - kept_mean2;
      const V v93 = v92 / kept_sqrt0;
      const V v94 = v93 / kept_sqrt0;
      const V v95 = v91 * v94;
      const V v96 = v90 - v95;
      const V v98 = v96 * v97;
      HG_STORE(0, v24);
      HG_SUM(1, v31);
      HG_SUM(2, v38);
      HG_SUM(3, v45);
      HG_SUM(4, v48);
      HG_SUM(5, v51);
      HG_SUM(6, v54);
      HG_SUM(7, v28);
      HG_SUM(8, v35);
      HG_SUM(9, v42);
      HG_ADD(sum_11, v78);
      HG_ADD(sum_12, v98);
    }
    HG_STORE_ONCE(10, kept_mean1);
    HG_ADDED(11, sum_11);
    HG_ADDED(12, sum_12);
  }
}

template <class V>
void zoneout_layer_norm_lstm_backward_3(const hg_tile& tile) {
  HG_PASS(tile, 39, 4) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V kept_sqrt = HG_ONCE(11);
    const V kept_mean1 = HG_ONCE(12);
    const V kept_mean2 = HG_ONCE(17);
    const V kept_mean3 = HG_ONCE(18);
    const V kept_sqrt0 = HG_ONCE(20);
    const V kept_mean4 = HG_ONCE(22);
    const V kept_sqrt1 = HG_ONCE(30);
    const V kept_mean5 = HG_ONCE(32);
    const V v0 = kept_mean / number<V>(4.0);
    const V v1 = kept_mean0 / number<V>(4.0);
    const V v13 = number<V>(1.0) / kept_sqrt;
    const V v29 = number<V>(1.0) / kept_sqrt0;
    const V v70 = number<V>(1.0) / kept_sqrt1;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V d_c = HG_READ(2);
      const V dy_c = HG_READ(3);
      const V m_c = HG_READ(4);
      const V d_h = HG_READ(5);
      const V dy_h = HG_READ(6);
      const V m_h = HG_READ(7);
      const V gate_o = HG_READ(8);
      const V kept_tanh = HG_READ(9);
      const V p_gain_c = HG_READ(10);
      const V gate_f = HG_READ(13);
      const V old_c = HG_READ(14);
      const V gate_i = HG_READ(15);
      const V gate_g = HG_READ(16);
      const V p_w_g = HG_READ(19);
      const V x_g = HG_READ(21);
      const V p_w_f = HG_READ(23);
      const V x_f = HG_READ(24);
      const V p_w_i = HG_READ(25);
      const V x_i = HG_READ(26);
      const V p_w_o = HG_READ(27);
      const V x_o = HG_READ(28);
      const V p_u_g = HG_READ(29);
      const V U_g = HG_READ(31);
      const V p_u_f = HG_READ(33);
      const V U_f = HG_READ(34);
      const V p_u_i = HG_READ(35);
      const V U_i = HG_READ(36);
      const V p_u_o = HG_READ(37);
      const V U_o = HG_READ(38);
      const V v2 = d_c + dy_c;
      const V v3 = number<V>(1.0) - m_c;
      const V v4 = v2 * v3;
      const V v5 = d_h + dy_h;
      const V v6 = number<V>(1.0) - m_h;
      const V v7 = v5 * v6;
      const V v8 = v7 * gate_o;
      const V v9 = kept_tanh * kept_tanh;
      const V v10 = number<V>(1.0) - v9;
      const V v11 = v8 * v10;
      const V v12 = v11 * p_gain_c;
      const V v14 = v12 * v13;
      const V v15 = gate_f * old_c;
      const V v16 = gate_i * gate_g;
      const V v17 = v15 + v16;
      const V v18 = v17 - kept_mean2;
      const V v19 = kept_mean1 * v18;
      const V v20 = v14 + v19;
      const V v21 = v20 + v19;
      const V v22 = v4 + v21;
      const V v23 = v22 + kept_mean3;
      const V v24 = v23 * gate_i;
      const V v25 = gate_g * gate_g;
      const V v26 = number<V>(1.0) - v25;
      const V v27 = v24 * v26;
      const V v28 = v27 * p_w_g;
      const V v30 = v28 * v29;
      const V v31 = x_g - kept_mean4;
      const V v32 = v0 * v31;
      const V v33 = v30 + v32;
      const V v34 = v33 + v32;
      const V v35 = -v34;
      const V v36 = v23 * old_c;
      const V v37 = number<V>(1.0) - gate_f;
      const V v38 = gate_f * v37;
      const V v39 = v36 * v38;
      const V v40 = v39 * p_w_f;
      const V v41 = v40 * v29;
      const V v42 = x_f - kept_mean4;
      const V v43 = v0 * v42;
      const V v44 = v41 + v43;
      const V v45 = v44 + v43;
      const V v46 = v35 - v45;
      const V v47 = v23 * gate_g;
      const V v48 = number<V>(1.0) - gate_i;
      const V v49 = gate_i * v48;
      const V v50 = v47 * v49;
      const V v51 = v50 * p_w_i;
      const V v52 = v51 * v29;
      const V v53 = x_i - kept_mean4;
      const V v54 = v0 * v53;
      const V v55 = v52 + v54;
      const V v56 = v55 + v54;
      const V v57 = v46 - v56;
      const V v58 = v7 * kept_tanh;
      const V v59 = number<V>(1.0) - gate_o;
      const V v60 = gate_o * v59;
      const V v61 = v58 * v60;
      const V v62 = v61 * p_w_o;
      const V v63 = v62 * v29;
      const V v64 = x_o - kept_mean4;
      const V v65 = v0 * v64;
      const V v66 = v63 + v65;
      const V v67 = v66 + v65;
      const V v68 = v57 - v67;
      const V v69 = v27 * p_u_g;
      const V v71 = v69 * v70;
      const V v72 = U_g - kept_mean5;
      const V v73 = v1 * v72;
      const V v74 = v71 + v73;
      const V v75 = v74 + v73;
      const V v76 = -v75;
      const V v77 = v39 * p_u_f;
      const V v78 = v77 * v70;
      const V v79 = U_f - kept_mean5;
      const V v80 = v1 * v79;
      const V v81 = v78 + v80;
      const V v82 = v81 + v80;
      const V v83 = v76 - v82;
      const V v84 = v50 * p_u_i;
      const V v85 = v84 * v70;
      const V v86 = U_i - kept_mean5;
      const V v87 = v1 * v86;
      const V v88 = v85 + v87;
      const V v89 = v88 + v87;
      const V v90 = v83 - v89;
      const V v91 = v61 * p_u_o;
      const V v92 = v91 * v70;
      const V v93 = U_o - kept_mean5;
      const V v94 = v1 * v93;
      const V v95 = v92 + v94;
      const V v96 = v95 + v94;
      const V v97 = v90 - v96;
      HG_ADD(sum_2, v68);
      HG_ADD(sum_3, v97);
    }
    HG_STORE_ONCE(0, v0);
    HG_STORE_ONCE(1, v1);
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void zoneout_layer_norm_lstm_backward_4(const hg_tile& tile) {
  HG_PASS(tile, 41, 8) {
    const V kept_sqrt = HG_ONCE(9);
    const V kept_mean = HG_ONCE(10);
    const V kept_mean0 = HG_ONCE(15);
    const V kept_mean1 = HG_ONCE(16);
    const V kept_sqrt0 = HG_ONCE(18);
    const V kept_div = HG_ONCE(19);
    const V kept_mean2 = HG_ONCE(21);
    const V kept_mean3 = HG_ONCE(22);
    const V kept_sqrt1 = HG_ONCE(30);
    const V kept_div0 = HG_ONCE(31);
    const V kept_mean4 = HG_ONCE(33);
    const V kept_mean5 = HG_ONCE(34);
    const V v11 = number<V>(1.0) / kept_sqrt;
    const V v27 = number<V>(1.0) / kept_sqrt0;
    const V v33 = kept_mean3 / number<V>(4.0);
    const V v69 = number<V>(1.0) / kept_sqrt1;
    const V v75 = kept_mean5 / number<V>(4.0);
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dy_c = HG_READ(1);
      const V m_c = HG_READ(2);
      const V d_h = HG_READ(3);
      const V dy_h = HG_READ(4);
      const V m_h = HG_READ(5);
      const V gate_o = HG_READ(6);
      const V kept_tanh = HG_READ(7);
      const V p_gain_c = HG_READ(8);
      const V gate_f = HG_READ(11);
      const V old_c = HG_READ(12);
      const V gate_i = HG_READ(13);
      const V gate_g = HG_READ(14);
      const V p_w_i = HG_READ(17);
      const V x_i = HG_READ(20);
      const V p_w_f = HG_READ(23);
      const V x_f = HG_READ(24);
      const V p_w_g = HG_READ(25);
      const V x_g = HG_READ(26);
      const V p_w_o = HG_READ(27);
      const V x_o = HG_READ(28);
      const V p_u_i = HG_READ(29);
      const V U_i = HG_READ(32);
      const V p_u_f = HG_READ(35);
      const V U_f = HG_READ(36);
      const V p_u_g = HG_READ(37);
      const V U_g = HG_READ(38);
      const V p_u_o = HG_READ(39);
      const V U_o = HG_READ(40);
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
      const V v10 = v9 * p_gain_c;
      const V v12 = v10 * v11;
      const V v13 = gate_f * old_c;
      const V v14 = gate_i * gate_g;
      const V v15 = v13 + v14;
      const V v16 = v15 - kept_mean0;
      const V v17 = kept_mean * v16;
      const V v18 = v12 + v17;
      const V v19 = v18 + v17;
      const V v20 = v2 + v19;
      const V v21 = v20 + kept_mean1;
      const V v22 = v21 * gate_g;
      const V v23 = number<V>(1.0) - gate_i;
      const V v24 = gate_i * v23;
      const V v25 = v22 * v24;
      const V v26 = v25 * p_w_i;
      const V v28 = v26 * v27;
      const V v29 = x_i - kept_mean2;
      const V v30 = kept_div * v29;
      const V v31 = v28 + v30;
      const V v32 = v31 + v30;
      const V v34 = v32 + v33;
      const V v35 = v21 * old_c;
      const V v36 = number<V>(1.0) - gate_f;
      const V v37 = gate_f * v36;
      const V v38 = v35 * v37;
      const V v39 = v38 * p_w_f;
      const V v40 = v39 * v27;
      const V v41 = x_f - kept_mean2;
      const V v42 = kept_div * v41;
      const V v43 = v40 + v42;
      const V v44 = v43 + v42;
      const V v45 = v44 + v33;
      const V v46 = v21 * gate_i;
      const V v47 = gate_g * gate_g;
      const V v48 = number<V>(1.0) - v47;
      const V v49 = v46 * v48;
      const V v50 = v49 * p_w_g;
      const V v51 = v50 * v27;
      const V v52 = x_g - kept_mean2;
      const V v53 = kept_div * v52;
      const V v54 = v51 + v53;
      const V v55 = v54 + v53;
      const V v56 = v55 + v33;
      const V v57 = v5 * kept_tanh;
      const V v58 = number<V>(1.0) - gate_o;
      const V v59 = gate_o * v58;
      const V v60 = v57 * v59;
      const V v61 = v60 * p_w_o;
      const V v62 = v61 * v27;
      const V v63 = x_o - kept_mean2;
      const V v64 = kept_div * v63;
      const V v65 = v62 + v64;
      const V v66 = v65 + v64;
      const V v67 = v66 + v33;
      const V v68 = v25 * p_u_i;
      const V v70 = v68 * v69;
      const V v71 = U_i - kept_mean4;
      const V v72 = kept_div0 * v71;
      const V v73 = v70 + v72;
      const V v74 = v73 + v72;
      const V v76 = v74 + v75;
      const V v77 = v38 * p_u_f;
      const V v78 = v77 * v69;
      const V v79 = U_f - kept_mean4;
      const V v80 = kept_div0 * v79;
      const V v81 = v78 + v80;
      const V v82 = v81 + v80;
      const V v83 = v82 + v75;
      const V v84 = v49 * p_u_g;
      const V v85 = v84 * v69;
      const V v86 = U_g - kept_mean4;
      const V v87 = kept_div0 * v86;
      const V v88 = v85 + v87;
      const V v89 = v88 + v87;
      const V v90 = v89 + v75;
      const V v91 = v60 * p_u_o;
      const V v92 = v91 * v69;
      const V v93 = U_o - kept_mean4;
      const V v94 = kept_div0 * v93;
      const V v95 = v92 + v94;
      const V v96 = v95 + v94;
      const V v97 = v96 + v75;
      HG_STORE(0, v34);
      HG_STORE(1, v45);
      HG_STORE(2, v56);
      HG_STORE(3, v67);
      HG_STORE(4, v76);
      HG_STORE(5, v83);
      HG_STORE(6, v90);
      HG_STORE(7, v97);
    }
  }
}

template <class V>
void zoneout_layer_norm_lstm_backward_5(const hg_tile& tile) {
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
void zoneout_layer_norm_lstm_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 12, 4) {
    const V kept_mean = HG_ONCE(10);
    const V kept_sqrt = HG_ONCE(11);
    const V v14 = number<V>(0.5) / kept_sqrt;
    V sum_3{};
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V d_c = HG_READ(1);
      const V m_h = HG_READ(2);
      const V gate_o = HG_READ(3);
      const V kept_tanh = HG_READ(4);
      const V p_gain_c = HG_READ(5);
      const V gate_f = HG_READ(6);
      const V old_c = HG_READ(7);
      const V gate_i = HG_READ(8);
      const V gate_g = HG_READ(9);
      const V v0 = d_h * m_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v1 * gate_o;
      const V v3 = kept_tanh * kept_tanh;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = v5 * p_gain_c;
      const V v7 = gate_f * old_c;
      const V v8 = gate_i * gate_g;
      const V v9 = v7 + v8;
      const V v10 = v9 - kept_mean;
      const V v11 = v10 / kept_sqrt;
      const V v12 = v11 / kept_sqrt;
      const V v13 = v6 * v12;
      const V v15 = v13 * v14;
      const V v16 = d_h * v15;
      const V v17 = -v16;
      HG_STORE(0, d_h);
      HG_STORE(1, d_c);
      HG_KEEP(2, v0);
      HG_ADD(sum_3, v17);
    }
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void zoneout_layer_norm_lstm_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 12, 2) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(5);
    const V kept_sqrt = HG_ONCE(11);
    const V v13 = number<V>(1.0) / kept_sqrt;
    V sum_1{};
    HG_UNITS {
      const V gate_f = HG_READ(1);
      const V old_c = HG_READ(2);
      const V gate_i = HG_READ(3);
      const V gate_g = HG_READ(4);
      const V d_h = HG_READ(6);
      const V m_h = HG_READ(7);
      const V gate_o = HG_READ(8);
      const V kept_tanh = HG_READ(9);
      const V p_gain_c = HG_READ(10);
      const V v0 = gate_f * old_c;
      const V v1 = gate_i * gate_g;
      const V v2 = v0 + v1;
      const V v3 = v2 - kept_mean0;
      const V v4 = v3 + v3;
      const V v5 = kept_mean * v4;
      const V v6 = -v5;
      const V v7 = number<V>(1.0) - m_h;
      const V v8 = v7 * gate_o;
      const V v9 = kept_tanh * kept_tanh;
      const V v10 = number<V>(1.0) - v9;
      const V v11 = v8 * v10;
      const V v12 = v11 * p_gain_c;
      const V v14 = v12 * v13;
      const V v15 = d_h * v14;
      const V v16 = v6 - v15;
      HG_ADD(sum_1, v16);
    }
    HG_STORE_ONCE(0, kept_mean);
    HG_ADDED(1, sum_1);
  }
}

template <class V>
void zoneout_layer_norm_lstm_adjoint_2(const hg_tile& tile) {
  HG_PASS(tile, 36, 5) {
    const V along_highway = HG_ONCE(0);
    const V kept_mean = HG_ONCE(1);
    const V kept_mean0 = HG_ONCE(3);
    const V kept_mean1 = HG_ONCE(7);
    const V kept_sqrt = HG_ONCE(13);
    const V kept_mean2 = HG_ONCE(18);
    const V kept_sqrt0 = HG_ONCE(19);
    const V kept_mean3 = HG_ONCE(28);
    const V kept_sqrt1 = HG_ONCE(29);
    const V v15 = number<V>(1.0) / kept_sqrt;
    const V v53 = number<V>(0.5) / kept_sqrt0;
    const V v138 = number<V>(0.5) / kept_sqrt1;
    V sum_3{};
    V sum_4{};
    HG_UNITS {
      const V gate_f = HG_READ(2);
      const V old_c = HG_READ(4);
      const V gate_i = HG_READ(5);
      const V gate_g = HG_READ(6);
      const V d_h = HG_READ(8);
      const V m_h = HG_READ(9);
      const V gate_o = HG_READ(10);
      const V kept_tanh = HG_READ(11);
      const V p_gain_c = HG_READ(12);
      const V d_c = HG_READ(14);
      const V m_c = HG_READ(15);
      const V p_w_g = HG_READ(16);
      const V x_g = HG_READ(17);
      const V p_w_i = HG_READ(20);
      const V x_i = HG_READ(21);
      const V p_w_f = HG_READ(22);
      const V x_f = HG_READ(23);
      const V p_w_o = HG_READ(24);
      const V x_o = HG_READ(25);
      const V p_u_g = HG_READ(26);
      const V U_g = HG_READ(27);
      const V p_u_i = HG_READ(30);
      const V U_i = HG_READ(31);
      const V p_u_f = HG_READ(32);
      const V U_f = HG_READ(33);
      const V p_u_o = HG_READ(34);
      const V U_o = HG_READ(35);
      const V v0 = kept_mean * gate_f;
      const V v1 = gate_f * old_c;
      const V v2 = gate_i * gate_g;
      const V v3 = v1 + v2;
      const V v4 = v3 - kept_mean1;
      const V v5 = v4 + v4;
      const V v6 = v5 * gate_f;
      const V v7 = kept_mean0 * v6;
      const V v8 = v0 + v7;
      const V v9 = number<V>(1.0) - m_h;
      const V v10 = v9 * gate_o;
      const V v11 = kept_tanh * kept_tanh;
      const V v12 = number<V>(1.0) - v11;
      const V v13 = v10 * v12;
      const V v14 = v13 * p_gain_c;
      const V v16 = v14 * v15;
      const V v17 = v16 * gate_f;
      const V v18 = d_h * v17;
      const V v19 = v8 + v18;
      const V v20 = number<V>(1.0) - m_c;
      const V v21 = v20 * gate_f;
      const V v22 = v21 + m_c;
      const V v23 = d_c * v22;
      const V v24 = v19 + v23;
      const V v25 = along_highway * v24;
      const V v26 = gate_g * gate_g;
      const V v27 = number<V>(1.0) - v26;
      const V v28 = gate_i * v27;
      const V v29 = v28 * p_w_g;
      const V v30 = x_g - kept_mean2;
      const V v31 = v30 / kept_sqrt0;
      const V v32 = v31 / kept_sqrt0;
      const V v33 = v29 * v32;
      const V v34 = -v33;
      const V v35 = number<V>(1.0) - gate_i;
      const V v36 = gate_i * v35;
      const V v37 = gate_g * v36;
      const V v38 = v37 * p_w_i;
      const V v39 = x_i - kept_mean2;
      const V v40 = v39 / kept_sqrt0;
      const V v41 = v40 / kept_sqrt0;
      const V v42 = v38 * v41;
      const V v43 = v34 - v42;
      const V v44 = number<V>(1.0) - gate_f;
      const V v45 = gate_f * v44;
      const V v46 = old_c * v45;
      const V v47 = v46 * p_w_f;
      const V v48 = x_f - kept_mean2;
      const V v49 = v48 / kept_sqrt0;
      const V v50 = v49 / kept_sqrt0;
      const V v51 = v47 * v50;
      const V v52 = v43 - v51;
      const V v54 = v52 * v53;
      const V v55 = kept_mean * v54;
      const V v56 = v5 * gate_i;
      const V v57 = v56 * v27;
      const V v58 = v57 * p_w_g;
      const V v59 = v58 * v32;
      const V v60 = -v59;
      const V v61 = v5 * gate_g;
      const V v62 = v61 * v36;
      const V v63 = v62 * p_w_i;
      const V v64 = v63 * v41;
      const V v65 = v60 - v64;
      const V v66 = v5 * old_c;
      const V v67 = v66 * v45;
      const V v68 = v67 * p_w_f;
      const V v69 = v68 * v50;
      const V v70 = v65 - v69;
      const V v71 = v70 * v53;
      const V v72 = kept_mean0 * v71;
      const V v73 = v55 + v72;
      const V v74 = v16 * gate_i;
      const V v75 = v74 * v27;
      const V v76 = v75 * p_w_g;
      const V v77 = v76 * v32;
      const V v78 = -v77;
      const V v79 = v16 * gate_g;
      const V v80 = v79 * v36;
      const V v81 = v80 * p_w_i;
      const V v82 = v81 * v41;
      const V v83 = v78 - v82;
      const V v84 = v16 * old_c;
      const V v85 = v84 * v45;
      const V v86 = v85 * p_w_f;
      const V v87 = v86 * v50;
      const V v88 = v83 - v87;
      const V v89 = v9 * kept_tanh;
      const V v90 = number<V>(1.0) - gate_o;
      const V v91 = gate_o * v90;
      const V v92 = v89 * v91;
      const V v93 = v92 * p_w_o;
      const V v94 = x_o - kept_mean2;
      const V v95 = v94 / kept_sqrt0;
      const V v96 = v95 / kept_sqrt0;
      const V v97 = v93 * v96;
      const V v98 = v88 - v97;
      const V v99 = v98 * v53;
      const V v100 = d_h * v99;
      const V v101 = v73 + v100;
      const V v102 = v20 * gate_i;
      const V v103 = v102 * v27;
      const V v104 = v103 * p_w_g;
      const V v105 = v104 * v32;
      const V v106 = -v105;
      const V v107 = v20 * gate_g;
      const V v108 = v107 * v36;
      const V v109 = v108 * p_w_i;
      const V v110 = v109 * v41;
      const V v111 = v106 - v110;
      const V v112 = v20 * old_c;
      const V v113 = v112 * v45;
      const V v114 = v113 * p_w_f;
      const V v115 = v114 * v50;
      const V v116 = v111 - v115;
      const V v117 = v116 * v53;
      const V v118 = d_c * v117;
      const V v119 = v101 + v118;
      const V v120 = v28 * p_u_g;
      const V v121 = U_g - kept_mean3;
      const V v122 = v121 / kept_sqrt1;
      const V v123 = v122 / kept_sqrt1;
      const V v124 = v120 * v123;
      const V v125 = -v124;
      const V v126 = v37 * p_u_i;
      const V v127 = U_i - kept_mean3;
      const V v128 = v127 / kept_sqrt1;
      const V v129 = v128 / kept_sqrt1;
      const V v130 = v126 * v129;
      const V v131 = v125 - v130;
      const V v132 = v46 * p_u_f;
      const V v133 = U_f - kept_mean3;
      const V v134 = v133 / kept_sqrt1;
      const V v135 = v134 / kept_sqrt1;
      const V v136 = v132 * v135;
      const V v137 = v131 - v136;
      const V v139 = v137 * v138;
      const V v140 = kept_mean * v139;
      const V v141 = v57 * p_u_g;
      const V v142 = v141 * v123;
      const V v143 = -v142;
      const V v144 = v62 * p_u_i;
      const V v145 = v144 * v129;
      const V v146 = v143 - v145;
      const V v147 = v67 * p_u_f;
      const V v148 = v147 * v135;
      const V v149 = v146 - v148;
      const V v150 = v149 * v138;
      const V v151 = kept_mean0 * v150;
      const V v152 = v140 + v151;
      const V v153 = v75 * p_u_g;
      const V v154 = v153 * v123;
      const V v155 = -v154;
      const V v156 = v80 * p_u_i;
      const V v157 = v156 * v129;
      const V v158 = v155 - v157;
      const V v159 = v85 * p_u_f;
      const V v160 = v159 * v135;
      const V v161 = v158 - v160;
      const V v162 = v92 * p_u_o;
      const V v163 = U_o - kept_mean3;
      const V v164 = v163 / kept_sqrt1;
      const V v165 = v164 / kept_sqrt1;
      const V v166 = v162 * v165;
      const V v167 = v161 - v166;
      const V v168 = v167 * v138;
      const V v169 = d_h * v168;
      const V v170 = v152 + v169;
      const V v171 = v103 * p_u_g;
      const V v172 = v171 * v123;
      const V v173 = -v172;
      const V v174 = v108 * p_u_i;
      const V v175 = v174 * v129;
      const V v176 = v173 - v175;
      const V v177 = v113 * p_u_f;
      const V v178 = v177 * v135;
      const V v179 = v176 - v178;
      const V v180 = v179 * v138;
      const V v181 = d_c * v180;
      const V v182 = v170 + v181;
      HG_STORE(0, v25);
      HG_KEEP(1, v24);
      HG_ADD(sum_3, v119);
      HG_ADD(sum_4, v182);
    }
    HG_STORE_ONCE(2, kept_mean);
    HG_ADDED(3, sum_3);
    HG_ADDED(4, sum_4);
  }
}

template <class V>
void zoneout_layer_norm_lstm_adjoint_3(const hg_tile& tile) {
  HG_PASS(tile, 37, 4) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V kept_mean1 = HG_ONCE(3);
    const V kept_mean2 = HG_ONCE(7);
    const V kept_sqrt = HG_ONCE(11);
    const V kept_mean3 = HG_ONCE(16);
    const V kept_mean4 = HG_ONCE(17);
    const V kept_sqrt0 = HG_ONCE(23);
    const V kept_mean5 = HG_ONCE(28);
    const V kept_sqrt1 = HG_ONCE(33);
    const V v0 = kept_mean / number<V>(4.0);
    const V v1 = kept_mean0 / number<V>(4.0);
    const V v22 = number<V>(1.0) / kept_sqrt;
    const V v67 = number<V>(1.0) / kept_sqrt0;
    const V v128 = number<V>(1.0) / kept_sqrt1;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V x_i = HG_READ(2);
      const V x_f = HG_READ(4);
      const V x_g = HG_READ(5);
      const V x_o = HG_READ(6);
      const V gate_i = HG_READ(8);
      const V gate_g = HG_READ(9);
      const V p_w_g = HG_READ(10);
      const V p_w_i = HG_READ(12);
      const V old_c = HG_READ(13);
      const V gate_f = HG_READ(14);
      const V p_w_f = HG_READ(15);
      const V d_h = HG_READ(18);
      const V m_h = HG_READ(19);
      const V gate_o = HG_READ(20);
      const V kept_tanh = HG_READ(21);
      const V p_gain_c = HG_READ(22);
      const V p_w_o = HG_READ(24);
      const V d_c = HG_READ(25);
      const V m_c = HG_READ(26);
      const V U_i = HG_READ(27);
      const V U_f = HG_READ(29);
      const V U_g = HG_READ(30);
      const V U_o = HG_READ(31);
      const V p_u_g = HG_READ(32);
      const V p_u_i = HG_READ(34);
      const V p_u_f = HG_READ(35);
      const V p_u_o = HG_READ(36);
      const V v2 = x_i - kept_mean1;
      const V v3 = v2 + v2;
      const V v4 = v0 * v3;
      const V v5 = -v4;
      const V v6 = x_f - kept_mean1;
      const V v7 = v6 + v6;
      const V v8 = v0 * v7;
      const V v9 = v5 - v8;
      const V v10 = x_g - kept_mean1;
      const V v11 = v10 + v10;
      const V v12 = v0 * v11;
      const V v13 = v9 - v12;
      const V v14 = x_o - kept_mean1;
      const V v15 = v14 + v14;
      const V v16 = v0 * v15;
      const V v17 = v13 - v16;
      const V v18 = gate_g * gate_g;
      const V v19 = number<V>(1.0) - v18;
      const V v20 = gate_i * v19;
      const V v21 = v20 * p_w_g;
      const V v23 = v21 * v22;
      const V v24 = -v23;
      const V v25 = number<V>(1.0) - gate_i;
      const V v26 = gate_i * v25;
      const V v27 = gate_g * v26;
      const V v28 = v27 * p_w_i;
      const V v29 = v28 * v22;
      const V v30 = v24 - v29;
      const V v31 = number<V>(1.0) - gate_f;
      const V v32 = gate_f * v31;
      const V v33 = old_c * v32;
      const V v34 = v33 * p_w_f;
      const V v35 = v34 * v22;
      const V v36 = v30 - v35;
      const V v37 = kept_mean2 * v36;
      const V v38 = v17 + v37;
      const V v39 = gate_f * old_c;
      const V v40 = gate_i * gate_g;
      const V v41 = v39 + v40;
      const V v42 = v41 - kept_mean4;
      const V v43 = v42 + v42;
      const V v44 = v43 * gate_i;
      const V v45 = v44 * v19;
      const V v46 = v45 * p_w_g;
      const V v47 = v46 * v22;
      const V v48 = -v47;
      const V v49 = v43 * gate_g;
      const V v50 = v49 * v26;
      const V v51 = v50 * p_w_i;
      const V v52 = v51 * v22;
      const V v53 = v48 - v52;
      const V v54 = v43 * old_c;
      const V v55 = v54 * v32;
      const V v56 = v55 * p_w_f;
      const V v57 = v56 * v22;
      const V v58 = v53 - v57;
      const V v59 = kept_mean3 * v58;
      const V v60 = v38 + v59;
      const V v61 = number<V>(1.0) - m_h;
      const V v62 = v61 * gate_o;
      const V v63 = kept_tanh * kept_tanh;
      const V v64 = number<V>(1.0) - v63;
      const V v65 = v62 * v64;
      const V v66 = v65 * p_gain_c;
      const V v68 = v66 * v67;
      const V v69 = v68 * gate_i;
      const V v70 = v69 * v19;
      const V v71 = v70 * p_w_g;
      const V v72 = v71 * v22;
      const V v73 = -v72;
      const V v74 = v68 * gate_g;
      const V v75 = v74 * v26;
      const V v76 = v75 * p_w_i;
      const V v77 = v76 * v22;
      const V v78 = v73 - v77;
      const V v79 = v68 * old_c;
      const V v80 = v79 * v32;
      const V v81 = v80 * p_w_f;
      const V v82 = v81 * v22;
      const V v83 = v78 - v82;
      const V v84 = v61 * kept_tanh;
      const V v85 = number<V>(1.0) - gate_o;
      const V v86 = gate_o * v85;
      const V v87 = v84 * v86;
      const V v88 = v87 * p_w_o;
      const V v89 = v88 * v22;
      const V v90 = v83 - v89;
      const V v91 = d_h * v90;
      const V v92 = v60 + v91;
      const V v93 = number<V>(1.0) - m_c;
      const V v94 = v93 * gate_i;
      const V v95 = v94 * v19;
      const V v96 = v95 * p_w_g;
      const V v97 = v96 * v22;
      const V v98 = -v97;
      const V v99 = v93 * gate_g;
      const V v100 = v99 * v26;
      const V v101 = v100 * p_w_i;
      const V v102 = v101 * v22;
      const V v103 = v98 - v102;
      const V v104 = v93 * old_c;
      const V v105 = v104 * v32;
      const V v106 = v105 * p_w_f;
      const V v107 = v106 * v22;
      const V v108 = v103 - v107;
      const V v109 = d_c * v108;
      const V v110 = v92 + v109;
      const V v111 = U_i - kept_mean5;
      const V v112 = v111 + v111;
      const V v113 = v1 * v112;
      const V v114 = -v113;
      const V v115 = U_f - kept_mean5;
      const V v116 = v115 + v115;
      const V v117 = v1 * v116;
      const V v118 = v114 - v117;
      const V v119 = U_g - kept_mean5;
      const V v120 = v119 + v119;
      const V v121 = v1 * v120;
      const V v122 = v118 - v121;
      const V v123 = U_o - kept_mean5;
      const V v124 = v123 + v123;
      const V v125 = v1 * v124;
      const V v126 = v122 - v125;
      const V v127 = v20 * p_u_g;
      const V v129 = v127 * v128;
      const V v130 = -v129;
      const V v131 = v27 * p_u_i;
      const V v132 = v131 * v128;
      const V v133 = v130 - v132;
      const V v134 = v33 * p_u_f;
      const V v135 = v134 * v128;
      const V v136 = v133 - v135;
      const V v137 = kept_mean2 * v136;
      const V v138 = v126 + v137;
      const V v139 = v45 * p_u_g;
      const V v140 = v139 * v128;
      const V v141 = -v140;
      const V v142 = v50 * p_u_i;
      const V v143 = v142 * v128;
      const V v144 = v141 - v143;
      const V v145 = v55 * p_u_f;
      const V v146 = v145 * v128;
      const V v147 = v144 - v146;
      const V v148 = kept_mean3 * v147;
      const V v149 = v138 + v148;
      const V v150 = v70 * p_u_g;
      const V v151 = v150 * v128;
      const V v152 = -v151;
      const V v153 = v75 * p_u_i;
      const V v154 = v153 * v128;
      const V v155 = v152 - v154;
      const V v156 = v80 * p_u_f;
      const V v157 = v156 * v128;
      const V v158 = v155 - v157;
      const V v159 = v87 * p_u_o;
      const V v160 = v159 * v128;
      const V v161 = v158 - v160;
      const V v162 = d_h * v161;
      const V v163 = v149 + v162;
      const V v164 = v95 * p_u_g;
      const V v165 = v164 * v128;
      const V v166 = -v165;
      const V v167 = v100 * p_u_i;
      const V v168 = v167 * v128;
      const V v169 = v166 - v168;
      const V v170 = v105 * p_u_f;
      const V v171 = v170 * v128;
      const V v172 = v169 - v171;
      const V v173 = d_c * v172;
      const V v174 = v163 + v173;
      HG_ADD(sum_2, v110);
      HG_ADD(sum_3, v174);
    }
    HG_STORE_ONCE(0, v0);
    HG_STORE_ONCE(1, v1);
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void zoneout_layer_norm_lstm_adjoint_4(const hg_tile& tile) {
  HG_PASS(tile, 39, 8) {
    const V kept_div = HG_ONCE(0);
    const V kept_mean = HG_ONCE(2);
    const V kept_mean0 = HG_ONCE(3);
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean1 = HG_ONCE(8);
    const V kept_mean2 = HG_ONCE(11);
    const V kept_sqrt0 = HG_ONCE(17);
    const V kept_mean3 = HG_ONCE(20);
    const V kept_div0 = HG_ONCE(27);
    const V kept_mean4 = HG_ONCE(29);
    const V kept_sqrt1 = HG_ONCE(31);
    const V kept_mean5 = HG_ONCE(32);
    const V v7 = number<V>(1.0) / kept_sqrt;
    const V v28 = number<V>(1.0) / kept_sqrt0;
    const V v43 = kept_mean3 / number<V>(4.0);
    const V v119 = number<V>(1.0) / kept_sqrt1;
    const V v135 = kept_mean5 / number<V>(4.0);
    HG_UNITS {
      const V x_i = HG_READ(1);
      const V gate_g = HG_READ(4);
      const V gate_i = HG_READ(5);
      const V p_w_i = HG_READ(6);
      const V gate_f = HG_READ(9);
      const V old_c = HG_READ(10);
      const V d_h = HG_READ(12);
      const V m_h = HG_READ(13);
      const V gate_o = HG_READ(14);
      const V kept_tanh = HG_READ(15);
      const V p_gain_c = HG_READ(16);
      const V d_c = HG_READ(18);
      const V m_c = HG_READ(19);
      const V x_f = HG_READ(21);
      const V p_w_f = HG_READ(22);
      const V x_g = HG_READ(23);
      const V p_w_g = HG_READ(24);
      const V x_o = HG_READ(25);
      const V p_w_o = HG_READ(26);
      const V U_i = HG_READ(28);
      const V p_u_i = HG_READ(30);
      const V U_f = HG_READ(33);
      const V p_u_f = HG_READ(34);
      const V U_g = HG_READ(35);
      const V p_u_g = HG_READ(36);
      const V U_o = HG_READ(37);
      const V p_u_o = HG_READ(38);
      const V v0 = x_i - kept_mean;
      const V v1 = v0 + v0;
      const V v2 = kept_div * v1;
      const V v3 = number<V>(1.0) - gate_i;
      const V v4 = gate_i * v3;
      const V v5 = gate_g * v4;
      const V v6 = v5 * p_w_i;
      const V v8 = v6 * v7;
      const V v9 = kept_mean0 * v8;
      const V v10 = v2 + v9;
      const V v11 = gate_f * old_c;
      const V v12 = gate_i * gate_g;
      const V v13 = v11 + v12;
      const V v14 = v13 - kept_mean2;
      const V v15 = v14 + v14;
      const V v16 = v15 * gate_g;
      const V v17 = v16 * v4;
      const V v18 = v17 * p_w_i;
      const V v19 = v18 * v7;
      const V v20 = kept_mean1 * v19;
      const V v21 = v10 + v20;
      const V v22 = number<V>(1.0) - m_h;
      const V v23 = v22 * gate_o;
      const V v24 = kept_tanh * kept_tanh;
      const V v25 = number<V>(1.0) - v24;
      const V v26 = v23 * v25;
      const V v27 = v26 * p_gain_c;
      const V v29 = v27 * v28;
      const V v30 = v29 * gate_g;
      const V v31 = v30 * v4;
      const V v32 = v31 * p_w_i;
      const V v33 = v32 * v7;
      const V v34 = d_h * v33;
      const V v35 = v21 + v34;
      const V v36 = number<V>(1.0) - m_c;
      const V v37 = v36 * gate_g;
      const V v38 = v37 * v4;
      const V v39 = v38 * p_w_i;
      const V v40 = v39 * v7;
      const V v41 = d_c * v40;
      const V v42 = v35 + v41;
      const V v44 = v42 + v43;
      const V v45 = x_f - kept_mean;
      const V v46 = v45 + v45;
      const V v47 = kept_div * v46;
      const V v48 = number<V>(1.0) - gate_f;
      const V v49 = gate_f * v48;
      const V v50 = old_c * v49;
      const V v51 = v50 * p_w_f;
      const V v52 = v51 * v7;
      const V v53 = kept_mean0 * v52;
      const V v54 = v47 + v53;
      const V v55 = v15 * old_c;
      const V v56 = v55 * v49;
      const V v57 = v56 * p_w_f;
      const V v58 = v57 * v7;
      const V v59 = kept_mean1 * v58;
      const V v60 = v54 + v59;
      const V v61 = v29 * old_c;
      const V v62 = v61 * v49;
      const V v63 = v62 * p_w_f;
      const V v64 = v63 * v7;
      const V v65 = d_h * v64;
      const V v66 = v60 + v65;
      const V v67 = v36 * old_c;
      const V v68 = v67 * v49;
      const V v69 = v68 * p_w_f;
      const V v70 = v69 * v7;
      const V v71 = d_c * v70;
      const V v72 = v66 + v71;
      const V v73 = v72 + v43;
      const V v74 = x_g - kept_mean;
      const V v75 = v74 + v74;
      const V v76 = kept_div * v75;
      const V v77 = gate_g * gate_g;
      const V v78 = number<V>(1.0) - v77;
      const V v79 = gate_i * v78;
      const V v80 = v79 * p_w_g;
      const V v81 = v80 * v7;
      const V v82 = kept_mean0 * v81;
      const V v83 = v76 + v82;
      const V v84 = v15 * gate_i;
      const V v85 = v84 * v78;
      const V v86 = v85 * p_w_g;
      const V v87 = v86 * v7;
      const V v88 = kept_mean1 * v87;
      const V v89 = v83 + v88;
      const V v90 = v29 * gate_i;
      const V v91 = v90 * v78;
      const V v92 = v91 * p_w_g;
      const V v93 = v92 * v7;
      const V v94 = d_h * v93;
      const V v95 = v89 + v94;
      const V v96 = v36 * gate_i;
      const V v97 = v96 * v78;
      const V v98 = v97 * p_w_g;
      const V v99 = v98 * v7;
      const V v100 = d_c * v99;
      const V v101 = v95 + v100;
      const V v102 = v101 + v43;
      const V v103 = x_o - kept_mean;
      const V v104 = v103 + v103;
      const V v105 = kept_div * v104;
      const V v106 = v22 * kept_tanh;
      const V v107 = number<V>(1.0) - gate_o;
      const V v108 = gate_o * v107;
      const V v109 = v106 * v108;
      const V v110 = v109 * p_w_o;
      const V v111 = v110 * v7;
      const V v112 = d_h * v111;
      const V v113 = v105 + v112;
      const V v114 = v113 + v43;
      const V v115 = U_i - kept_mean4;
      const V v116 = v115 + v115;
      const V v117 = kept_div0 * v116;
      const V v118 = v5 * p_u_i;
      const V v120 = v118 * v119;
      const V v121 = kept_mean0 * v120;
      const V v122 = v117 + v121;
      const V v123 = v17 * p_u_i;
      const V v124 = v123 * v119;
      const V v125 = kept_mean1 * v124;
      const V v126 = v122 + v125;
      const V v127 = v31 * p_u_i;
      const V v128 = v127 * v119;
      const V v129 = d_h * v128;
      const V v130 = v126 + v129;
      const V v131 = v38 * p_u_i;
      const V v132 = v131 * v119;
      const V v133 = d_c * v132;
      const V v134 = v130 + v133;
      const V v136 = v134 + v135;
      const V v137 = U_f - kept_mean4;
      const V v138 = v137 + v137;
      const V v139 = kept_div0 * v138;
      const V v140 = v50 * p_u_f;
      const V v141 = v140 * v119;
      const V v142 = kept_mean0 * v141;
      const V v143 = v139 + v142;
      const V v144 = v56 * p_u_f;
      const V v145 = v144 * v119;
      const V v146 = kept_mean1 * v145;
      const V v147 = v143 + v146;
      const V v148 = v62 * p_u_f;
      const V v149 = v148 * v119;
      const V v150 = d_h * v149;
      const V v151 = v147 + v150;
      const V v152 = v68 * p_u_f;
      const V v153 = v152 * v119;
      const V v154 = d_c * v153;
      const V v155 = v151 + v154;
      const V v156 = v155 + v135;
      const V v157 = U_g - kept_mean4;
      const V v158 = v157 + v157;
      const V v159 = kept_div0 * v158;
      const V v160 = v79 * p_u_g;
      const V v161 = v160 * v119;
      const V v162 = kept_mean0 * v161;
      const V v163 = v159 + v162;
      const V v164 = v85 * p_u_g;
      const V v165 = v164 * v119;
      const V v166 = kept_mean1 * v165;
      const V v167 = v163 + v166;
      const V v168 = v91 * p_u_g;
      const V v169 = v168 * v119;
      const V v170 = d_h * v169;
      const V v171 = v167 + v170;
      const V v172 = v97 * p_u_g;
      const V v173 = v172 * v119;
      const V v174 = d_c * v173;
      const V v175 = v171 + v174;
      const V v176 = v175 + v135;
      const V v177 = U_o - kept_mean4;
      const V v178 = v177 + v177;
      const V v179 = kept_div0 * v178;
      const V v180 = v109 * p_u_o;
      const V v181 = v180 * v119;
      const V v182 = d_h * v181;
      const V v183 = v179 + v182;
      const V v184 = v183 + v135;
      HG_STORE(0, v44);
      HG_STORE(1, v73);
      HG_STORE(2, v102);
      HG_STORE(3, v114);
      HG_STORE(4, v136);
      HG_STORE(5, v156);
      HG_STORE(6, v176);
      HG_STORE(7, v184);
    }
  }
}

template <class V>
void zoneout_layer_norm_lstm_adjoint_5(const hg_tile& tile) {
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

HG_EXPORT(zoneout_layer_norm_lstm_forward_0)
HG_EXPORT(zoneout_layer_norm_lstm_forward_1)
HG_EXPORT(zoneout_layer_norm_lstm_forward_2)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_forward_3)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_forward_4)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_forward_5)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_backward_0)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_backward_1)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_backward_2)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_backward_3)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_backward_4)
HG_EXPORT(zoneout_layer_norm_lstm_backward_5)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_adjoint_0)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_adjoint_1)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_adjoint_2)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_adjoint_3)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_lstm_adjoint_4)
HG_EXPORT(zoneout_layer_norm_lstm_adjoint_5)
