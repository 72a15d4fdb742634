// LSTM(layer_norm=True): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void layer_norm_lstm_forward_0(const hg_tile& tile) {
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
void layer_norm_lstm_forward_1(const hg_tile& tile) {
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
void layer_norm_lstm_forward_2(const hg_tile& tile) {
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
void layer_norm_lstm_forward_3(const hg_tile& tile) {
  HG_PASS(tile, 25, 7) {
    const V kept_mean = HG_ONCE(2);
    const V kept_sqrt = HG_ONCE(3);
    const V kept_mean0 = HG_ONCE(7);
    const V kept_mean1 = HG_ONCE(8);
    const V v5 = kept_mean1 + number<V>(1e-05);
    const V v6 = sqrt(v5);
    V sum_1{};
    HG_UNITS {
      const V p_w_f = HG_READ(0);
      const V x_f = HG_READ(1);
      const V p_b_f = HG_READ(4);
      const V p_u_f = HG_READ(5);
      const V U_f = HG_READ(6);
      const V old_c = HG_READ(9);
      const V p_w_i = HG_READ(10);
      const V x_i = HG_READ(11);
      const V p_b_i = HG_READ(12);
      const V p_u_i = HG_READ(13);
      const V U_i = HG_READ(14);
      const V p_w_g = HG_READ(15);
      const V x_g = HG_READ(16);
      const V p_b_g = HG_READ(17);
      const V p_u_g = HG_READ(18);
      const V U_g = HG_READ(19);
      const V p_w_o = HG_READ(20);
      const V x_o = HG_READ(21);
      const V p_b_o = HG_READ(22);
      const V p_u_o = HG_READ(23);
      const V U_o = HG_READ(24);
      const V v0 = x_f - kept_mean;
      const V v1 = v0 / kept_sqrt;
      const V v2 = p_w_f * v1;
      const V v3 = v2 + p_b_f;
      const V v4 = U_f - kept_mean0;
      const V v7 = v4 / v6;
      const V v8 = p_u_f * v7;
      const V v9 = v3 + v8;
      const V gate_f = sigmoid(v9);
      const V v10 = gate_f * old_c;
      const V v11 = x_i - kept_mean;
      const V v12 = v11 / kept_sqrt;
      const V v13 = p_w_i * v12;
      const V v14 = v13 + p_b_i;
      const V v15 = U_i - kept_mean0;
      const V v16 = v15 / v6;
      const V v17 = p_u_i * v16;
      const V v18 = v14 + v17;
      const V gate_i = sigmoid(v18);
      const V v19 = x_g - kept_mean;
      const V v20 = v19 / kept_sqrt;
      const V v21 = p_w_g * v20;
      const V v22 = v21 + p_b_g;
      const V v23 = U_g - kept_mean0;
      const V v24 = v23 / v6;
      const V v25 = p_u_g * v24;
      const V v26 = v22 + v25;
      const V gate_g = tanh(v26);
      const V v27 = gate_i * gate_g;
      const V new_c = v10 + v27;
      const V v28 = x_o - kept_mean;
      const V v29 = v28 / kept_sqrt;
      const V v30 = p_w_o * v29;
      const V v31 = v30 + p_b_o;
      const V v32 = U_o - kept_mean0;
      const V v33 = v32 / v6;
      const V v34 = p_u_o * v33;
      const V v35 = v31 + v34;
      const V gate_o = sigmoid(v35);
      HG_STORE(0, new_c);
      HG_ADD(sum_1, new_c);
      HG_STORE(2, gate_o);
      HG_KEEP(3, gate_f);
      HG_KEEP(4, gate_g);
      HG_KEEP(5, gate_i);
    }
    HG_ADDED(1, sum_1);
    HG_KEEP_ONCE(6, v6);
  }
}

template <class V>
void layer_norm_lstm_forward_4(const hg_tile& tile) {
  HG_PASS(tile, 2, 2) {
    const V kept_mean = HG_ONCE(0);
    V sum_1{};
    HG_UNITS {
      const V new_c = HG_READ(1);
      const V v0 = new_c - kept_mean;
      const V v1 = v0 * v0;
      HG_ADD(sum_1, v1);
    }
    HG_STORE_ONCE(0, kept_mean);
    HG_ADDED(1, sum_1);
  }
}

template <class V>
void layer_norm_lstm_forward_5(const hg_tile& tile) {
  HG_PASS(tile, 6, 3) {
    const V kept_mean = HG_ONCE(3);
    const V kept_mean0 = HG_ONCE(4);
    const V v1 = kept_mean0 + number<V>(1e-05);
    const V v2 = sqrt(v1);
    HG_UNITS {
      const V gate_o = HG_READ(0);
      const V p_gain_c = HG_READ(1);
      const V new_c = HG_READ(2);
      const V p_bias_c = HG_READ(5);
      const V v0 = new_c - kept_mean;
      const V v3 = v0 / v2;
      const V v4 = p_gain_c * v3;
      const V v5 = v4 + p_bias_c;
      const V v6 = tanh(v5);
      const V new_h = gate_o * v6;
      HG_STORE(0, new_h);
      HG_KEEP(1, v6);
    }
    HG_KEEP_ONCE(2, v2);
  }
}

template <class V>
void layer_norm_lstm_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 14, 6) {
    const V kept_mean = HG_ONCE(5);
    const V kept_sqrt = HG_ONCE(6);
    const V kept_mean0 = HG_ONCE(8);
    const V kept_sqrt0 = HG_ONCE(9);
    const V kept_mean1 = HG_ONCE(11);
    const V kept_sqrt1 = HG_ONCE(12);
    const V v21 = number<V>(0.5) / kept_sqrt1;
    V sum_5{};
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V kept_tanh = HG_READ(2);
      const V gate_o = HG_READ(3);
      const V U_o = HG_READ(4);
      const V x_o = HG_READ(7);
      const V new_c = HG_READ(10);
      const V p_gain_c = HG_READ(13);
      const V v0 = d_h + dy_h;
      const V v1 = v0 * kept_tanh;
      const V v2 = number<V>(1.0) - gate_o;
      const V v3 = gate_o * v2;
      const V v4 = v1 * v3;
      const V v5 = U_o - kept_mean;
      const V v6 = v5 / kept_sqrt;
      const V v7 = v4 * v6;
      const V v8 = x_o - kept_mean0;
      const V v9 = v8 / kept_sqrt0;
      const V v10 = v4 * v9;
      const V v11 = v0 * gate_o;
      const V v12 = kept_tanh * kept_tanh;
      const V v13 = number<V>(1.0) - v12;
      const V v14 = v11 * v13;
      const V v15 = new_c - kept_mean1;
      const V v16 = v15 / kept_sqrt1;
      const V v17 = v14 * v16;
      const V v18 = v14 * p_gain_c;
      const V v19 = v16 / kept_sqrt1;
      const V v20 = v18 * v19;
      const V v22 = v20 * v21;
      const V v23 = -v22;
      HG_SUM(0, v7);
      HG_SUM(1, v10);
      HG_SUM(2, v17);
      HG_SUM(3, v4);
      HG_SUM(4, v14);
      HG_ADD(sum_5, v23);
    }
    HG_ADDED(5, sum_5);
  }
}

template <class V>
void layer_norm_lstm_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 9, 2) {
    const V kept_mean = HG_ONCE(0);
    const V kept_sqrt = HG_ONCE(6);
    const V kept_mean0 = HG_ONCE(8);
    const V v6 = number<V>(1.0) / kept_sqrt;
    V sum_1{};
    HG_UNITS {
      const V d_h = HG_READ(1);
      const V dy_h = HG_READ(2);
      const V gate_o = HG_READ(3);
      const V kept_tanh = HG_READ(4);
      const V p_gain_c = HG_READ(5);
      const V new_c = HG_READ(7);
      const V v0 = d_h + dy_h;
      const V v1 = v0 * gate_o;
      const V v2 = kept_tanh * kept_tanh;
      const V v3 = number<V>(1.0) - v2;
      const V v4 = v1 * v3;
      const V v5 = v4 * p_gain_c;
      const V v7 = v5 * v6;
      const V v8 = new_c - kept_mean0;
      const V v9 = kept_mean * v8;
      const V v10 = v7 + v9;
      const V v11 = v10 + v9;
      const V v12 = -v11;
      HG_ADD(sum_1, v12);
    }
    HG_STORE_ONCE(0, kept_mean);
    HG_ADDED(1, sum_1);
  }
}

template <class V>
void layer_norm_lstm_backward_2(const hg_tile& tile) {
  HG_PASS(tile, 36, 13) {
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean = HG_ONCE(8);
    const V kept_mean0 = HG_ONCE(10);
    const V kept_mean1 = HG_ONCE(11);
    const V kept_mean2 = HG_ONCE(16);
    const V kept_sqrt0 = HG_ONCE(17);
    const V kept_mean3 = HG_ONCE(22);
    const V kept_sqrt1 = HG_ONCE(23);
    const V v7 = number<V>(1.0) / kept_sqrt;
    const V v68 = number<V>(0.5) / kept_sqrt1;
    const V v88 = number<V>(0.5) / kept_sqrt0;
    V sum_11{};
    V sum_12{};
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dy_c = HG_READ(1);
      const V d_h = HG_READ(2);
      const V dy_h = HG_READ(3);
      const V gate_o = HG_READ(4);
      const V kept_tanh = HG_READ(5);
      const V p_gain_c = HG_READ(6);
      const V new_c = HG_READ(9);
      const V gate_f = HG_READ(12);
      const V gate_g = HG_READ(13);
      const V gate_i = HG_READ(14);
      const V U_i = HG_READ(15);
      const V old_c = HG_READ(18);
      const V U_f = HG_READ(19);
      const V U_g = HG_READ(20);
      const V x_i = HG_READ(21);
      const V x_f = HG_READ(24);
      const V x_g = HG_READ(25);
      const V p_w_g = HG_READ(26);
      const V p_w_i = HG_READ(27);
      const V p_w_f = HG_READ(28);
      const V p_w_o = HG_READ(29);
      const V x_o = HG_READ(30);
      const V p_u_g = HG_READ(31);
      const V p_u_i = HG_READ(32);
      const V p_u_f = HG_READ(33);
      const V p_u_o = HG_READ(34);
      const V U_o = HG_READ(35);
      const V v0 = d_c + dy_c;
      const V v1 = d_h + dy_h;
      const V v2 = v1 * gate_o;
      const V v3 = kept_tanh * kept_tanh;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = v5 * p_gain_c;
      const V v8 = v6 * v7;
      const V v9 = new_c - kept_mean0;
      const V v10 = kept_mean * v9;
      const V v11 = v8 + v10;
      const V v12 = v11 + v10;
      const V v13 = v0 + v12;
      const V v14 = v13 + kept_mean1;
      const V v15 = v14 * gate_f;
      const V v16 = v14 * gate_g;
      const V v17 = number<V>(1.0) - gate_i;
      const V v18 = gate_i * v17;
      const V v19 = v16 * v18;
      const V v20 = U_i - kept_mean2;
      const V v21 = v20 / kept_sqrt0;
      const V v22 = v19 * v21;
      const V v23 = v14 * old_c;
      const V v24 = number<V>(1.0) - gate_f;
      const V v25 = gate_f * v24;
      const V v26 = v23 * v25;
      const V v27 = U_f - kept_mean2;
      const V v28 = v27 / kept_sqrt0;
      const V v29 = v26 * v28;
      const V v30 = v14 * gate_i;
      const V v31 = gate_g * gate_g;
      const V v32 = number<V>(1.0) - v31;
      const V v33 = v30 * v32;
      const V v34 = U_g - kept_mean2;
      const V v35 = v34 / kept_sqrt0;
      const V v36 = v33 * v35;
      const V v37 = x_i - kept_mean3;
      const V v38 = v37 / kept_sqrt1;
      const V v39 = v19 * v38;
      const V v40 = x_f - kept_mean3;
      const V v41 = v40 / kept_sqrt1;
      const V v42 = v26 * v41;
      const V v43 = x_g - kept_mean3;
      const V v44 = v43 / kept_sqrt1;
      const V v45 = v33 * v44;
      const V v46 = v33 * p_w_g;
      const V v47 = v44 / kept_sqrt1;
      const V v48 = v46 * v47;
      const V v49 = -v48;
      const V v50 = v19 * p_w_i;
      const V v51 = v38 / kept_sqrt1;
      const V v52 = v50 * v51;
      const V v53 = v49 - v52;
      const V v54 = v26 * p_w_f;
      const V v55 = v41 / kept_sqrt1;
      const V v56 = v54 * v55;
      const V v57 = v53 - v56;
      const V v58 = v1 * kept_tanh;
      const V v59 = number<V>(1.0) - gate_o;
      const V v60 = gate_o * v59;
      const V v61 = v58 * v60;
      const V v62 = v61 * p_w_o;
      const V v63 = x_o - kept_mean3;
      const V v64 = v63 / kept_sqrt1;
      const V v65 = v64 / kept_sqrt1;
      const V v66 = v62 * v65;
      const V v67 = v57 - v66;
      const V v69 = v67 * v68;
      const V v70 = v33 * p_u_g;
      const V v71 = v35 / kept_sqrt0;
      const V v72 = v70 * v71;
      const V v73 = -v72;
      const V v74 = v19 * p_u_i;
      const V v75 = v21 / kept_sqrt0;
      const V v76 = v74 * v75;
      const V v77 = v73 - v76;
      const V v78 = v26 * p_u_f;
      const V v79 = v28 / kept_sqrt0;
      const V v80 = v78 * v79;
      const V v81 = v77 - v80;
      const V v82 = v61 * p_u_o;
      const V v83 = U_o - kept_mean2;
      const V v84 = v83 / kept_sqrt0;
      const V v85 = v84 / kept_sqrt0;
      const V v86 = v82 * v85;
      const V v87 = v81 - v86;
      const V v89 = v87 * v88;
      HG_STORE(0, v15);
      HG_SUM(1, v22);
      HG_SUM(2, v29);
      HG_SUM(3, v36);
      HG_SUM(4, v39);
      HG_SUM(5, v42);
      HG_SUM(6, v45);
      HG_SUM(7, v19);
      HG_SUM(8, v26);
      HG_SUM(9, v33);
      HG_ADD(sum_11, v69);
      HG_ADD(sum_12, v89);
    }
    HG_STORE_ONCE(10, kept_mean1);
    HG_ADDED(11, sum_11);
    HG_ADDED(12, sum_12);
  }
}

template <class V>
void layer_norm_lstm_backward_3(const hg_tile& tile) {
  HG_PASS(tile, 38, 4) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V kept_sqrt = HG_ONCE(9);
    const V kept_mean1 = HG_ONCE(10);
    const V kept_mean2 = HG_ONCE(12);
    const V kept_mean3 = HG_ONCE(13);
    const V kept_sqrt0 = HG_ONCE(17);
    const V kept_mean4 = HG_ONCE(19);
    const V kept_sqrt1 = HG_ONCE(29);
    const V kept_mean5 = HG_ONCE(31);
    const V v0 = kept_mean / number<V>(4.0);
    const V v1 = kept_mean0 / number<V>(4.0);
    const V v9 = number<V>(1.0) / kept_sqrt;
    const V v22 = number<V>(1.0) / kept_sqrt0;
    const V v63 = number<V>(1.0) / kept_sqrt1;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V d_c = HG_READ(2);
      const V dy_c = HG_READ(3);
      const V d_h = HG_READ(4);
      const V dy_h = HG_READ(5);
      const V gate_o = HG_READ(6);
      const V kept_tanh = HG_READ(7);
      const V p_gain_c = HG_READ(8);
      const V new_c = HG_READ(11);
      const V gate_i = HG_READ(14);
      const V gate_g = HG_READ(15);
      const V p_w_g = HG_READ(16);
      const V x_g = HG_READ(18);
      const V old_c = HG_READ(20);
      const V gate_f = HG_READ(21);
      const V p_w_f = HG_READ(22);
      const V x_f = HG_READ(23);
      const V p_w_i = HG_READ(24);
      const V x_i = HG_READ(25);
      const V p_w_o = HG_READ(26);
      const V x_o = HG_READ(27);
      const V p_u_g = HG_READ(28);
      const V U_g = HG_READ(30);
      const V p_u_f = HG_READ(32);
      const V U_f = HG_READ(33);
      const V p_u_i = HG_READ(34);
      const V U_i = HG_READ(35);
      const V p_u_o = HG_READ(36);
      const V U_o = HG_READ(37);
      const V v2 = d_c + dy_c;
      const V v3 = d_h + dy_h;
      const V v4 = v3 * gate_o;
      const V v5 = kept_tanh * kept_tanh;
      const V v6 = number<V>(1.0) - v5;
      const V v7 = v4 * v6;
      const V v8 = v7 * p_gain_c;
      const V v10 = v8 * v9;
      const V v11 = new_c - kept_mean2;
      const V v12 = kept_mean1 * v11;
      const V v13 = v10 + v12;
      const V v14 = v13 + v12;
      const V v15 = v2 + v14;
      const V v16 = v15 + kept_mean3;
      const V v17 = v16 * gate_i;
      const V v18 = gate_g * gate_g;
      const V v19 = number<V>(1.0) - v18;
      const V v20 = v17 * v19;
      const V v21 = v20 * p_w_g;
      const V v23 = v21 * v22;
      const V v24 = x_g - kept_mean4;
      const V v25 = v0 * v24;
      const V v26 = v23 + v25;
      const V v27 = v26 + v25;
      const V v28 = -v27;
      const V v29 = v16 * old_c;
      const V v30 = number<V>(1.0) - gate_f;
      const V v31 = gate_f * v30;
      const V v32 = v29 * v31;
      const V v33 = v32 * p_w_f;
      const V v34 = v33 * v22;
      const V v35 = x_f - kept_mean4;
      const V v36 = v0 * v35;
      const V v37 = v34 + v36;
      const V v38 = v37 + v36;
      const V v39 = v28 - v38;
      const V v40 = v16 * gate_g;
      const V v41 = number<V>(1.0) - gate_i;
      const V v42 = gate_i * v41;
      const V v43 = v40 * v42;
      const V v44 = v43 * p_w_i;
      const V v45 = v44 * v22;
      const V v46 = x_i - kept_mean4;
      const V v47 = v0 * v46;
      const V v48 = v45 + v47;
      const V v49 = v48 + v47;
      const V v50 = v39 - v49;
      const V v51 = v3 * kept_tanh;
      const V v52 = number<V>(1.0) - gate_o;
      const V v53 = gate_o * v52;
      const V v54 = v51 * v53;
      const V v55 = v54 * p_w_o;
      const V v56 = v55 * v22;
      const V v57 = x_o - kept_mean4;
      const V v58 = v0 * v57;
      const V v59 = v56 + v58;
      const V v60 = v59 + v58;
      const V v61 = v50 - v60;
      const V v62 = v20 * p_u_g;
      const V v64 = v62 * v63;
      const V v65 = U_g - kept_mean5;
      const V v66 = v1 * v65;
      const V v67 = v64 + v66;
      const V v68 = v67 + v66;
      const V v69 = -v68;
      const V v70 = v32 * p_u_f;
      const V v71 = v70 * v63;
      const V v72 = U_f - kept_mean5;
      const V v73 = v1 * v72;
      const V v74 = v71 + v73;
      const V v75 = v74 + v73;
      const V v76 = v69 - v75;
      const V v77 = v43 * p_u_i;
      const V v78 = v77 * v63;
      const V v79 = U_i - kept_mean5;
      const V v80 = v1 * v79;
      const V v81 = v78 + v80;
      const V v82 = v81 + v80;
      const V v83 = v76 - v82;
      const V v84 = v54 * p_u_o;
      const V v85 = v84 * v63;
      const V v86 = U_o - kept_mean5;
      const V v87 = v1 * v86;
      const V v88 = v85 + v87;
      const V v89 = v88 + v87;
      const V v90 = v83 - v89;
      HG_ADD(sum_2, v61);
      HG_ADD(sum_3, v90);
    }
    HG_STORE_ONCE(0, v0);
    HG_STORE_ONCE(1, v1);
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void layer_norm_lstm_backward_4(const hg_tile& tile) {
  HG_PASS(tile, 40, 8) {
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean = HG_ONCE(8);
    const V kept_mean0 = HG_ONCE(10);
    const V kept_mean1 = HG_ONCE(11);
    const V kept_sqrt0 = HG_ONCE(15);
    const V kept_div = HG_ONCE(16);
    const V kept_mean2 = HG_ONCE(18);
    const V kept_mean3 = HG_ONCE(19);
    const V kept_sqrt1 = HG_ONCE(29);
    const V kept_div0 = HG_ONCE(30);
    const V kept_mean4 = HG_ONCE(32);
    const V kept_mean5 = HG_ONCE(33);
    const V v7 = number<V>(1.0) / kept_sqrt;
    const V v20 = number<V>(1.0) / kept_sqrt0;
    const V v26 = kept_mean3 / number<V>(4.0);
    const V v62 = number<V>(1.0) / kept_sqrt1;
    const V v68 = kept_mean5 / number<V>(4.0);
    HG_UNITS {
      const V d_c = HG_READ(0);
      const V dy_c = HG_READ(1);
      const V d_h = HG_READ(2);
      const V dy_h = HG_READ(3);
      const V gate_o = HG_READ(4);
      const V kept_tanh = HG_READ(5);
      const V p_gain_c = HG_READ(6);
      const V new_c = HG_READ(9);
      const V gate_g = HG_READ(12);
      const V gate_i = HG_READ(13);
      const V p_w_i = HG_READ(14);
      const V x_i = HG_READ(17);
      const V old_c = HG_READ(20);
      const V gate_f = HG_READ(21);
      const V p_w_f = HG_READ(22);
      const V x_f = HG_READ(23);
      const V p_w_g = HG_READ(24);
      const V x_g = HG_READ(25);
      const V p_w_o = HG_READ(26);
      const V x_o = HG_READ(27);
      const V p_u_i = HG_READ(28);
      const V U_i = HG_READ(31);
      const V p_u_f = HG_READ(34);
      const V U_f = HG_READ(35);
      const V p_u_g = HG_READ(36);
      const V U_g = HG_READ(37);
      const V p_u_o = HG_READ(38);
      const V U_o = HG_READ(39);
      const V v0 = d_c + dy_c;
      const V v1 = d_h + dy_h;
      const V v2 = v1 * gate_o;
      const V v3 = kept_tanh * kept_tanh;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = v5 * p_gain_c;
      const V v8 = v6 * v7;
      const V v9 = new_c - kept_mean0;
      const V v10 = kept_mean * v9;
      const V v11 = v8 + v10;
      const V v12 = v11 + v10;
      const V v13 = v0 + v12;
      const V v14 = v13 + kept_mean1;
      const V v15 = v14 * gate_g;
      const V v16 = number<V>(1.0) - gate_i;
      const V v17 = gate_i * v16;
      const V v18 = v15 * v17;
      const V v19 = v18 * p_w_i;
      const V v21 = v19 * v20;
      const V v22 = x_i - kept_mean2;
      const V v23 = kept_div * v22;
      const V v24 = v21 + v23;
      const V v25 = v24 + v23;
      const V v27 = v25 + v26;
      const V v28 = v14 * old_c;
      const V v29 = number<V>(1.0) - gate_f;
      const V v30 = gate_f * v29;
      const V v31 = v28 * v30;
      const V v32 = v31 * p_w_f;
      const V v33 = v32 * v20;
      const V v34 = x_f - kept_mean2;
      const V v35 = kept_div * v34;
      const V v36 = v33 + v35;
      const V v37 = v36 + v35;
      const V v38 = v37 + v26;
      const V v39 = v14 * gate_i;
      const V v40 = gate_g * gate_g;
      const V v41 = number<V>(1.0) - v40;
      const V v42 = v39 * v41;
      const V v43 = v42 * p_w_g;
      const V v44 = v43 * v20;
      const V v45 = x_g - kept_mean2;
      const V v46 = kept_div * v45;
      const V v47 = v44 + v46;
      const V v48 = v47 + v46;
      const V v49 = v48 + v26;
      const V v50 = v1 * kept_tanh;
      const V v51 = number<V>(1.0) - gate_o;
      const V v52 = gate_o * v51;
      const V v53 = v50 * v52;
      const V v54 = v53 * p_w_o;
      const V v55 = v54 * v20;
      const V v56 = x_o - kept_mean2;
      const V v57 = kept_div * v56;
      const V v58 = v55 + v57;
      const V v59 = v58 + v57;
      const V v60 = v59 + v26;
      const V v61 = v18 * p_u_i;
      const V v63 = v61 * v62;
      const V v64 = U_i - kept_mean4;
      const V v65 = kept_div0 * v64;
      const V v66 = v63 + v65;
      const V v67 = v66 + v65;
      const V v69 = v67 + v68;
      const V v70 = v31 * p_u_f;
      const V v71 = v70 * v62;
      const V v72 = U_f - kept_mean4;
      const V v73 = kept_div0 * v72;
      const V v74 = v71 + v73;
      const V v75 = v74 + v73;
      const V v76 = v75 + v68;
      const V v77 = v42 * p_u_g;
      const V v78 = v77 * v62;
      const V v79 = U_g - kept_mean4;
      const V v80 = kept_div0 * v79;
      const V v81 = v78 + v80;
      const V v82 = v81 + v80;
      const V v83 = v82 + v68;
      const V v84 = v53 * p_u_o;
      const V v85 = v84 * v62;
      const V v86 = U_o - kept_mean4;
      const V v87 = kept_div0 * v86;
      const V v88 = v85 + v87;
      const V v89 = v88 + v87;
      const V v90 = v89 + v68;
      HG_STORE(0, v27);
      HG_STORE(1, v38);
      HG_STORE(2, v49);
      HG_STORE(3, v60);
      HG_STORE(4, v69);
      HG_STORE(5, v76);
      HG_STORE(6, v83);
      HG_STORE(7, v90);
    }
  }
}

template <class V>
void layer_norm_lstm_backward_5(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      HG_STORE(0, dv_0);
    }
  }
}

template <class V>
void layer_norm_lstm_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 7, 2) {
    const V kept_mean = HG_ONCE(5);
    const V kept_sqrt = HG_ONCE(6);
    const V v8 = number<V>(0.5) / kept_sqrt;
    V sum_1{};
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V gate_o = HG_READ(1);
      const V kept_tanh = HG_READ(2);
      const V p_gain_c = HG_READ(3);
      const V new_c = HG_READ(4);
      const V v0 = kept_tanh * kept_tanh;
      const V v1 = number<V>(1.0) - v0;
      const V v2 = gate_o * v1;
      const V v3 = v2 * p_gain_c;
      const V v4 = new_c - kept_mean;
      const V v5 = v4 / kept_sqrt;
      const V v6 = v5 / kept_sqrt;
      const V v7 = v3 * v6;
      const V v9 = v7 * v8;
      const V v10 = d_h * v9;
      const V v11 = -v10;
      HG_STORE(0, d_h);
      HG_ADD(sum_1, v11);
    }
    HG_ADDED(1, sum_1);
  }
}

template <class V>
void layer_norm_lstm_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 8, 2) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(2);
    const V kept_sqrt = HG_ONCE(7);
    const V v8 = number<V>(1.0) / kept_sqrt;
    V sum_1{};
    HG_UNITS {
      const V new_c = HG_READ(1);
      const V d_h = HG_READ(3);
      const V gate_o = HG_READ(4);
      const V kept_tanh = HG_READ(5);
      const V p_gain_c = HG_READ(6);
      const V v0 = new_c - kept_mean0;
      const V v1 = v0 + v0;
      const V v2 = kept_mean * v1;
      const V v3 = -v2;
      const V v4 = kept_tanh * kept_tanh;
      const V v5 = number<V>(1.0) - v4;
      const V v6 = gate_o * v5;
      const V v7 = v6 * p_gain_c;
      const V v9 = v7 * v8;
      const V v10 = d_h * v9;
      const V v11 = v3 - v10;
      HG_ADD(sum_1, v11);
    }
    HG_STORE_ONCE(0, kept_mean);
    HG_ADDED(1, sum_1);
  }
}

template <class V>
void layer_norm_lstm_adjoint_2(const hg_tile& tile) {
  HG_PASS(tile, 35, 5) {
    const V along_highway = HG_ONCE(0);
    const V kept_mean = HG_ONCE(2);
    const V kept_mean0 = HG_ONCE(4);
    const V kept_sqrt = HG_ONCE(9);
    const V kept_mean1 = HG_ONCE(10);
    const V kept_mean2 = HG_ONCE(16);
    const V kept_sqrt0 = HG_ONCE(17);
    const V kept_mean3 = HG_ONCE(27);
    const V kept_sqrt1 = HG_ONCE(28);
    const V v8 = number<V>(1.0) / kept_sqrt;
    const V v42 = number<V>(0.5) / kept_sqrt0;
    const V v74 = number<V>(0.5) / kept_sqrt1;
    V sum_3{};
    V sum_4{};
    HG_UNITS {
      const V d_c = HG_READ(1);
      const V new_c = HG_READ(3);
      const V d_h = HG_READ(5);
      const V gate_o = HG_READ(6);
      const V kept_tanh = HG_READ(7);
      const V p_gain_c = HG_READ(8);
      const V gate_f = HG_READ(11);
      const V gate_i = HG_READ(12);
      const V gate_g = HG_READ(13);
      const V p_w_g = HG_READ(14);
      const V x_g = HG_READ(15);
      const V p_w_i = HG_READ(18);
      const V x_i = HG_READ(19);
      const V old_c = HG_READ(20);
      const V p_w_f = HG_READ(21);
      const V x_f = HG_READ(22);
      const V p_w_o = HG_READ(23);
      const V x_o = HG_READ(24);
      const V p_u_g = HG_READ(25);
      const V U_g = HG_READ(26);
      const V p_u_i = HG_READ(29);
      const V U_i = HG_READ(30);
      const V p_u_f = HG_READ(31);
      const V U_f = HG_READ(32);
      const V p_u_o = HG_READ(33);
      const V U_o = HG_READ(34);
      const V v0 = new_c - kept_mean0;
      const V v1 = v0 + v0;
      const V v2 = kept_mean * v1;
      const V v3 = d_c + v2;
      const V v4 = kept_tanh * kept_tanh;
      const V v5 = number<V>(1.0) - v4;
      const V v6 = gate_o * v5;
      const V v7 = v6 * p_gain_c;
      const V v9 = v7 * v8;
      const V v10 = d_h * v9;
      const V v11 = v3 + v10;
      const V v12 = v11 + kept_mean1;
      const V v13 = v12 * gate_f;
      const V v14 = along_highway * v13;
      const V v15 = gate_g * gate_g;
      const V v16 = number<V>(1.0) - v15;
      const V v17 = gate_i * v16;
      const V v18 = v17 * p_w_g;
      const V v19 = x_g - kept_mean2;
      const V v20 = v19 / kept_sqrt0;
      const V v21 = v20 / kept_sqrt0;
      const V v22 = v18 * v21;
      const V v23 = -v22;
      const V v24 = number<V>(1.0) - gate_i;
      const V v25 = gate_i * v24;
      const V v26 = gate_g * v25;
      const V v27 = v26 * p_w_i;
      const V v28 = x_i - kept_mean2;
      const V v29 = v28 / kept_sqrt0;
      const V v30 = v29 / kept_sqrt0;
      const V v31 = v27 * v30;
      const V v32 = v23 - v31;
      const V v33 = number<V>(1.0) - gate_f;
      const V v34 = gate_f * v33;
      const V v35 = old_c * v34;
      const V v36 = v35 * p_w_f;
      const V v37 = x_f - kept_mean2;
      const V v38 = v37 / kept_sqrt0;
      const V v39 = v38 / kept_sqrt0;
      const V v40 = v36 * v39;
      const V v41 = v32 - v40;
      const V v43 = v41 * v42;
      const V v44 = v12 * v43;
      const V v45 = number<V>(1.0) - gate_o;
      const V v46 = gate_o * v45;
      const V v47 = kept_tanh * v46;
      const V v48 = v47 * p_w_o;
      const V v49 = x_o - kept_mean2;
      const V v50 = v49 / kept_sqrt0;
      const V v51 = v50 / kept_sqrt0;
      const V v52 = v48 * v51;
      const V v53 = v52 * v42;
      const V v54 = d_h * v53;
      const V v55 = v44 - v54;
      const V v56 = v17 * p_u_g;
      const V v57 = U_g - kept_mean3;
      const V v58 = v57 / kept_sqrt1;
      const V v59 = v58 / kept_sqrt1;
      const V v60 = v56 * v59;
      const V v61 = -v60;
      const V v62 = v26 * p_u_i;
      const V v63 = U_i - kept_mean3;
      const V v64 = v63 / kept_sqrt1;
      const V v65 = v64 / kept_sqrt1;
      const V v66 = v62 * v65;
      const V v67 = v61 - v66;
      const V v68 = v35 * p_u_f;
      const V v69 = U_f - kept_mean3;
      const V v70 = v69 / kept_sqrt1;
      const V v71 = v70 / kept_sqrt1;
      const V v72 = v68 * v71;
      const V v73 = v67 - v72;
      const V v75 = v73 * v74;
      const V v76 = v12 * v75;
      const V v77 = v47 * p_u_o;
      const V v78 = U_o - kept_mean3;
      const V v79 = v78 / kept_sqrt1;
      const V v80 = v79 / kept_sqrt1;
      const V v81 = v77 * v80;
      const V v82 = v81 * v74;
      const V v83 = d_h * v82;
      const V v84 = v76 - v83;
      HG_STORE(0, v14);
      HG_STORE(1, v12);
      HG_KEEP(2, v13);
      HG_ADD(sum_3, v55);
      HG_ADD(sum_4, v84);
    }
    HG_ADDED(3, sum_3);
    HG_ADDED(4, sum_4);
  }
}

template <class V>
void layer_norm_lstm_adjoint_3(const hg_tile& tile) {
  HG_PASS(tile, 30, 4) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V kept_mean1 = HG_ONCE(3);
    const V kept_sqrt = HG_ONCE(11);
    const V kept_mean2 = HG_ONCE(21);
    const V kept_sqrt0 = HG_ONCE(26);
    const V v0 = kept_mean / number<V>(4.0);
    const V v1 = kept_mean0 / number<V>(4.0);
    const V v22 = number<V>(1.0) / kept_sqrt;
    const V v63 = number<V>(1.0) / kept_sqrt0;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V x_i = HG_READ(2);
      const V x_f = HG_READ(4);
      const V x_g = HG_READ(5);
      const V x_o = HG_READ(6);
      const V kept_add = HG_READ(7);
      const V gate_i = HG_READ(8);
      const V gate_g = HG_READ(9);
      const V p_w_g = HG_READ(10);
      const V p_w_i = HG_READ(12);
      const V old_c = HG_READ(13);
      const V gate_f = HG_READ(14);
      const V p_w_f = HG_READ(15);
      const V d_h = HG_READ(16);
      const V kept_tanh = HG_READ(17);
      const V gate_o = HG_READ(18);
      const V p_w_o = HG_READ(19);
      const V U_i = HG_READ(20);
      const V U_f = HG_READ(22);
      const V U_g = HG_READ(23);
      const V U_o = HG_READ(24);
      const V p_u_g = HG_READ(25);
      const V p_u_i = HG_READ(27);
      const V p_u_f = HG_READ(28);
      const V p_u_o = HG_READ(29);
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
      const V v37 = kept_add * v36;
      const V v38 = v17 + v37;
      const V v39 = number<V>(1.0) - gate_o;
      const V v40 = gate_o * v39;
      const V v41 = kept_tanh * v40;
      const V v42 = v41 * p_w_o;
      const V v43 = v42 * v22;
      const V v44 = d_h * v43;
      const V v45 = v38 - v44;
      const V v46 = U_i - kept_mean2;
      const V v47 = v46 + v46;
      const V v48 = v1 * v47;
      const V v49 = -v48;
      const V v50 = U_f - kept_mean2;
      const V v51 = v50 + v50;
      const V v52 = v1 * v51;
      const V v53 = v49 - v52;
      const V v54 = U_g - kept_mean2;
      const V v55 = v54 + v54;
      const V v56 = v1 * v55;
      const V v57 = v53 - v56;
      const V v58 = U_o - kept_mean2;
      const V v59 = v58 + v58;
      const V v60 = v1 * v59;
      const V v61 = v57 - v60;
      const V v62 = v20 * p_u_g;
      const V v64 = v62 * v63;
      const V v65 = -v64;
      const V v66 = v27 * p_u_i;
      const V v67 = v66 * v63;
      const V v68 = v65 - v67;
      const V v69 = v33 * p_u_f;
      const V v70 = v69 * v63;
      const V v71 = v68 - v70;
      const V v72 = kept_add * v71;
      const V v73 = v61 + v72;
      const V v74 = v41 * p_u_o;
      const V v75 = v74 * v63;
      const V v76 = d_h * v75;
      const V v77 = v73 - v76;
      HG_ADD(sum_2, v45);
      HG_ADD(sum_3, v77);
    }
    HG_STORE_ONCE(0, v0);
    HG_STORE_ONCE(1, v1);
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void layer_norm_lstm_adjoint_4(const hg_tile& tile) {
  HG_PASS(tile, 32, 8) {
    const V kept_div = HG_ONCE(0);
    const V kept_mean = HG_ONCE(2);
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean0 = HG_ONCE(8);
    const V kept_div0 = HG_ONCE(20);
    const V kept_mean1 = HG_ONCE(22);
    const V kept_sqrt0 = HG_ONCE(24);
    const V kept_mean2 = HG_ONCE(25);
    const V v7 = number<V>(1.0) / kept_sqrt;
    const V v11 = kept_mean0 / number<V>(4.0);
    const V v50 = number<V>(1.0) / kept_sqrt0;
    const V v54 = kept_mean2 / number<V>(4.0);
    HG_UNITS {
      const V x_i = HG_READ(1);
      const V kept_add = HG_READ(3);
      const V gate_g = HG_READ(4);
      const V gate_i = HG_READ(5);
      const V p_w_i = HG_READ(6);
      const V x_f = HG_READ(9);
      const V old_c = HG_READ(10);
      const V gate_f = HG_READ(11);
      const V p_w_f = HG_READ(12);
      const V x_g = HG_READ(13);
      const V p_w_g = HG_READ(14);
      const V x_o = HG_READ(15);
      const V d_h = HG_READ(16);
      const V kept_tanh = HG_READ(17);
      const V gate_o = HG_READ(18);
      const V p_w_o = HG_READ(19);
      const V U_i = HG_READ(21);
      const V p_u_i = HG_READ(23);
      const V U_f = HG_READ(26);
      const V p_u_f = HG_READ(27);
      const V U_g = HG_READ(28);
      const V p_u_g = HG_READ(29);
      const V U_o = HG_READ(30);
      const V p_u_o = HG_READ(31);
      const V v0 = x_i - kept_mean;
      const V v1 = v0 + v0;
      const V v2 = kept_div * v1;
      const V v3 = number<V>(1.0) - gate_i;
      const V v4 = gate_i * v3;
      const V v5 = gate_g * v4;
      const V v6 = v5 * p_w_i;
      const V v8 = v6 * v7;
      const V v9 = kept_add * v8;
      const V v10 = v2 + v9;
      const V v12 = v10 + v11;
      const V v13 = x_f - kept_mean;
      const V v14 = v13 + v13;
      const V v15 = kept_div * v14;
      const V v16 = number<V>(1.0) - gate_f;
      const V v17 = gate_f * v16;
      const V v18 = old_c * v17;
      const V v19 = v18 * p_w_f;
      const V v20 = v19 * v7;
      const V v21 = kept_add * v20;
      const V v22 = v15 + v21;
      const V v23 = v22 + v11;
      const V v24 = x_g - kept_mean;
      const V v25 = v24 + v24;
      const V v26 = kept_div * v25;
      const V v27 = gate_g * gate_g;
      const V v28 = number<V>(1.0) - v27;
      const V v29 = gate_i * v28;
      const V v30 = v29 * p_w_g;
      const V v31 = v30 * v7;
      const V v32 = kept_add * v31;
      const V v33 = v26 + v32;
      const V v34 = v33 + v11;
      const V v35 = x_o - kept_mean;
      const V v36 = v35 + v35;
      const V v37 = kept_div * v36;
      const V v38 = number<V>(1.0) - gate_o;
      const V v39 = gate_o * v38;
      const V v40 = kept_tanh * v39;
      const V v41 = v40 * p_w_o;
      const V v42 = v41 * v7;
      const V v43 = d_h * v42;
      const V v44 = v37 + v43;
      const V v45 = v44 + v11;
      const V v46 = U_i - kept_mean1;
      const V v47 = v46 + v46;
      const V v48 = kept_div0 * v47;
      const V v49 = v5 * p_u_i;
      const V v51 = v49 * v50;
      const V v52 = kept_add * v51;
      const V v53 = v48 + v52;
      const V v55 = v53 + v54;
      const V v56 = U_f - kept_mean1;
      const V v57 = v56 + v56;
      const V v58 = kept_div0 * v57;
      const V v59 = v18 * p_u_f;
      const V v60 = v59 * v50;
      const V v61 = kept_add * v60;
      const V v62 = v58 + v61;
      const V v63 = v62 + v54;
      const V v64 = U_g - kept_mean1;
      const V v65 = v64 + v64;
      const V v66 = kept_div0 * v65;
      const V v67 = v29 * p_u_g;
      const V v68 = v67 * v50;
      const V v69 = kept_add * v68;
      const V v70 = v66 + v69;
      const V v71 = v70 + v54;
      const V v72 = U_o - kept_mean1;
      const V v73 = v72 + v72;
      const V v74 = kept_div0 * v73;
      const V v75 = v40 * p_u_o;
      const V v76 = v75 * v50;
      const V v77 = d_h * v76;
      const V v78 = v74 + v77;
      const V v79 = v78 + v54;
      HG_STORE(0, v12);
      HG_STORE(1, v23);
      HG_STORE(2, v34);
      HG_STORE(3, v45);
      HG_STORE(4, v55);
      HG_STORE(5, v63);
      HG_STORE(6, v71);
      HG_STORE(7, v79);
    }
  }
}

template <class V>
void layer_norm_lstm_adjoint_5(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dw_0 = HG_READ(0);
      HG_STORE(0, dw_0);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT(layer_norm_lstm_forward_0)
HG_EXPORT(layer_norm_lstm_forward_1)
HG_EXPORT(layer_norm_lstm_forward_2)
HG_EXPORT_BY_TWOS(layer_norm_lstm_forward_3)
HG_EXPORT(layer_norm_lstm_forward_4)
HG_EXPORT_BY_TWOS(layer_norm_lstm_forward_5)
HG_EXPORT_BY_TWOS(layer_norm_lstm_backward_0)
HG_EXPORT_BY_TWOS(layer_norm_lstm_backward_1)
HG_EXPORT_BY_TWOS(layer_norm_lstm_backward_2)
HG_EXPORT_BY_TWOS(layer_norm_lstm_backward_3)
HG_EXPORT_BY_TWOS(layer_norm_lstm_backward_4)
HG_EXPORT(layer_norm_lstm_backward_5)
HG_EXPORT_BY_TWOS(layer_norm_lstm_adjoint_0)
HG_EXPORT_BY_TWOS(layer_norm_lstm_adjoint_1)
HG_EXPORT_BY_TWOS(layer_norm_lstm_adjoint_2)
HG_EXPORT_BY_TWOS(layer_norm_lstm_adjoint_3)
HG_EXPORT_BY_TWOS(layer_norm_lstm_adjoint_4)
HG_EXPORT(layer_norm_lstm_adjoint_5)
