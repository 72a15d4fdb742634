// GRU(layer_norm=True, zoneout={'h': 0.5}): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void zoneout_layer_norm_gru_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 3, 1) {
    V sum_0{};
    HG_UNITS {
      const V x_r = HG_READ(0);
      const V x_z = HG_READ(1);
      const V x_n = HG_READ(2);
      const V v0 = x_r + x_z;
      const V v1 = v0 + x_n;
      HG_ADD(sum_0, v1);
    }
    HG_ADDED(0, sum_0);
  }
}

template <class V>
void zoneout_layer_norm_gru_forward_1(const hg_tile& tile) {
  HG_PASS(tile, 7, 6) {
    const V kept_mean = HG_ONCE(3);
    V sum_4{};
    V sum_5{};
    HG_UNITS {
      const V U_r = HG_READ(0);
      const V U_z = HG_READ(1);
      const V U_n = HG_READ(2);
      const V x_r = HG_READ(4);
      const V x_z = HG_READ(5);
      const V x_n = HG_READ(6);
      const V v0 = x_r - kept_mean;
      const V v1 = v0 * v0;
      const V v2 = x_z - kept_mean;
      const V v3 = v2 * v2;
      const V v4 = v1 + v3;
      const V v5 = x_n - kept_mean;
      const V v6 = v5 * v5;
      const V v7 = v4 + v6;
      const V v8 = U_r + U_z;
      const V v9 = v8 + U_n;
      HG_STORE(0, U_r);
      HG_STORE(1, U_z);
      HG_STORE(2, U_n);
      HG_ADD(sum_4, v7);
      HG_ADD(sum_5, v9);
    }
    HG_STORE_ONCE(3, kept_mean);
    HG_ADDED(4, sum_4);
    HG_ADDED(5, sum_5);
  }
}

template <class V>
void zoneout_layer_norm_gru_forward_2(const hg_tile& tile) {
  HG_PASS(tile, 5, 3) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V v0 = kept_mean + number<V>(1e-05);
    const V v1 = sqrt(v0);
    V sum_2{};
    HG_UNITS {
      const V U_r = HG_READ(2);
      const V U_z = HG_READ(3);
      const V U_n = HG_READ(4);
      const V v2 = U_r - kept_mean0;
      const V v3 = v2 * v2;
      const V v4 = U_z - kept_mean0;
      const V v5 = v4 * v4;
      const V v6 = v3 + v5;
      const V v7 = U_n - kept_mean0;
      const V v8 = v7 * v7;
      const V v9 = v6 + v8;
      HG_ADD(sum_2, v9);
    }
    HG_STORE_ONCE(0, v1);
    HG_STORE_ONCE(1, kept_mean0);
    HG_ADDED(2, sum_2);
  }
}

template <class V>
void zoneout_layer_norm_gru_forward_3(const hg_tile& tile) {
  HG_PASS(tile, 21, 5) {
    const V kept_mean = HG_ONCE(4);
    const V kept_sqrt = HG_ONCE(5);
    const V kept_mean0 = HG_ONCE(9);
    const V kept_mean1 = HG_ONCE(10);
    const V v7 = kept_mean1 + number<V>(1e-05);
    const V v8 = sqrt(v7);
    HG_UNITS {
      const V m_h = HG_READ(0);
      const V old_h = HG_READ(1);
      const V p_w_z = HG_READ(2);
      const V x_z = HG_READ(3);
      const V p_b_z = HG_READ(6);
      const V p_u_z = HG_READ(7);
      const V U_z = HG_READ(8);
      const V p_w_n = HG_READ(11);
      const V x_n = HG_READ(12);
      const V p_b_n = HG_READ(13);
      const V p_w_r = HG_READ(14);
      const V x_r = HG_READ(15);
      const V p_b_r = HG_READ(16);
      const V p_u_r = HG_READ(17);
      const V U_r = HG_READ(18);
      const V p_u_n = HG_READ(19);
      const V U_n = HG_READ(20);
      const V v0 = m_h * old_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = x_z - kept_mean;
      const V v3 = v2 / kept_sqrt;
      const V v4 = p_w_z * v3;
      const V v5 = v4 + p_b_z;
      const V v6 = U_z - kept_mean0;
      const V v9 = v6 / v8;
      const V v10 = p_u_z * v9;
      const V v11 = v5 + v10;
      const V gate_z = sigmoid(v11);
      const V v12 = number<V>(1.0) - gate_z;
      const V v13 = x_n - kept_mean;
      const V v14 = v13 / kept_sqrt;
      const V v15 = p_w_n * v14;
      const V v16 = v15 + p_b_n;
      const V v17 = x_r - kept_mean;
      const V v18 = v17 / kept_sqrt;
      const V v19 = p_w_r * v18;
      const V v20 = v19 + p_b_r;
      const V v21 = U_r - kept_mean0;
      const V v22 = v21 / v8;
      const V v23 = p_u_r * v22;
      const V v24 = v20 + v23;
      const V gate_r = sigmoid(v24);
      const V v25 = U_n - kept_mean0;
      const V v26 = v25 / v8;
      const V v27 = p_u_n * v26;
      const V v28 = gate_r * v27;
      const V v29 = v16 + v28;
      const V gate_n = tanh(v29);
      const V v30 = v12 * gate_n;
      const V v31 = gate_z * old_h;
      const V v32 = v30 + v31;
      const V v33 = v1 * v32;
      const V new_h = v0 + v33;
      HG_STORE(0, new_h);
      HG_KEEP(1, gate_z);
      HG_KEEP(2, gate_n);
      HG_KEEP(4, gate_r);
    }
    HG_KEEP_ONCE(3, v8);
  }
}

template <class V>
void zoneout_layer_norm_gru_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 23, 11) {
    const V kept_mean = HG_ONCE(7);
    const V kept_sqrt = HG_ONCE(8);
    const V kept_mean0 = HG_ONCE(14);
    const V kept_sqrt0 = HG_ONCE(15);
    const V v49 = number<V>(0.5) / kept_sqrt0;
    const V v63 = number<V>(0.5) / kept_sqrt;
    V sum_9{};
    V sum_10{};
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V m_h = HG_READ(2);
      const V gate_z = HG_READ(3);
      const V gate_n = HG_READ(4);
      const V p_u_n = HG_READ(5);
      const V U_n = HG_READ(6);
      const V gate_r = HG_READ(9);
      const V U_r = HG_READ(10);
      const V old_h = HG_READ(11);
      const V U_z = HG_READ(12);
      const V x_r = HG_READ(13);
      const V x_z = HG_READ(16);
      const V x_n = HG_READ(17);
      const V p_w_r = HG_READ(18);
      const V p_w_n = HG_READ(19);
      const V p_w_z = HG_READ(20);
      const V p_u_r = HG_READ(21);
      const V p_u_z = HG_READ(22);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v0 * v1;
      const V v3 = number<V>(1.0) - gate_z;
      const V v4 = v2 * v3;
      const V v5 = gate_n * gate_n;
      const V v6 = number<V>(1.0) - v5;
      const V v7 = v4 * v6;
      const V v8 = U_n - kept_mean;
      const V v9 = v8 / kept_sqrt;
      const V v10 = p_u_n * v9;
      const V v11 = v7 * v10;
      const V v12 = number<V>(1.0) - gate_r;
      const V v13 = gate_r * v12;
      const V v14 = v11 * v13;
      const V v15 = U_r - kept_mean;
      const V v16 = v15 / kept_sqrt;
      const V v17 = v14 * v16;
      const V v18 = v2 * old_h;
      const V v19 = v2 * gate_n;
      const V v20 = v18 - v19;
      const V v21 = gate_z * v3;
      const V v22 = v20 * v21;
      const V v23 = U_z - kept_mean;
      const V v24 = v23 / kept_sqrt;
      const V v25 = v22 * v24;
      const V v26 = v7 * gate_r;
      const V v27 = v26 * v9;
      const V v28 = x_r - kept_mean0;
      const V v29 = v28 / kept_sqrt0;
      const V v30 = v14 * v29;
      const V v31 = x_z - kept_mean0;
      const V v32 = v31 / kept_sqrt0;
      const V v33 = v22 * v32;
      const V v34 = x_n - kept_mean0;
      const V v35 = v34 / kept_sqrt0;
      const V v36 = v7 * v35;
      const V v37 = v14 * p_w_r;
      const V v38 = v29 / kept_sqrt0;
      const V v39 = v37 * v38;
      const V v40 = -v39;
      const V v41 = v7 * p_w_n;
      const V v42 = v35 / kept_sqrt0;
      const V v43 = v41 * v42;
      const V v44 = v40 - v43;
      const V v45 = v22 * p_w_z;
      const V v46 = v32 / kept_sqrt0;
      const V v47 = v45 * v46;
      const V v48 = v44 - v47;
      const V v50 = v48 * v49;
      const V v51 = v26 * p_u_n;
      const V v52 = v9 / kept_sqrt;
      const V v53 = v51 * v52;
      const V v54 = -v53;
      const V v55 = v14 * p_u_r;
      const V v56 = v16 / kept_sqrt;
      const V v57 = v55 * v56;
      const V v58 = v54 - v57;
      const V v59 = v22 * p_u_z;
      const V v60 = v24 / kept_sqrt;
      const V v61 = v59 * v60;
      const V v62 = v58 - v61;
      const V v64 = v62 * v63;
      HG_SUM(0, v17);
      HG_SUM(1, v25);
      HG_SUM(2, v27);
      HG_SUM(3, v30);
      HG_SUM(4, v33);
      HG_SUM(5, v36);
      HG_SUM(6, v14);
      HG_SUM(7, v22);
      HG_SUM(8, v7);
      HG_ADD(sum_9, v50);
      HG_ADD(sum_10, v64);
    }
    HG_ADDED(9, sum_9);
    HG_ADDED(10, sum_10);
  }
}

template <class V>
void zoneout_layer_norm_gru_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 25, 4) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V kept_sqrt = HG_ONCE(8);
    const V kept_mean1 = HG_ONCE(10);
    const V kept_mean2 = HG_ONCE(13);
    const V kept_sqrt0 = HG_ONCE(14);
    const V v0 = kept_mean / number<V>(3.0);
    const V v1 = kept_mean0 / number<V>(3.0);
    const V v11 = number<V>(1.0) / kept_sqrt;
    const V v46 = number<V>(1.0) / kept_sqrt0;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V d_h = HG_READ(2);
      const V dy_h = HG_READ(3);
      const V m_h = HG_READ(4);
      const V gate_z = HG_READ(5);
      const V gate_n = HG_READ(6);
      const V p_w_n = HG_READ(7);
      const V x_n = HG_READ(9);
      const V p_u_n = HG_READ(11);
      const V U_n = HG_READ(12);
      const V gate_r = HG_READ(15);
      const V p_w_r = HG_READ(16);
      const V x_r = HG_READ(17);
      const V old_h = HG_READ(18);
      const V p_w_z = HG_READ(19);
      const V x_z = HG_READ(20);
      const V p_u_r = HG_READ(21);
      const V U_r = HG_READ(22);
      const V p_u_z = HG_READ(23);
      const V U_z = HG_READ(24);
      const V v2 = d_h + dy_h;
      const V v3 = number<V>(1.0) - m_h;
      const V v4 = v2 * v3;
      const V v5 = number<V>(1.0) - gate_z;
      const V v6 = v4 * v5;
      const V v7 = gate_n * gate_n;
      const V v8 = number<V>(1.0) - v7;
      const V v9 = v6 * v8;
      const V v10 = v9 * p_w_n;
      const V v12 = v10 * v11;
      const V v13 = x_n - kept_mean1;
      const V v14 = v0 * v13;
      const V v15 = v12 + v14;
      const V v16 = v15 + v14;
      const V v17 = -v16;
      const V v18 = U_n - kept_mean2;
      const V v19 = v18 / kept_sqrt0;
      const V v20 = p_u_n * v19;
      const V v21 = v9 * v20;
      const V v22 = number<V>(1.0) - gate_r;
      const V v23 = gate_r * v22;
      const V v24 = v21 * v23;
      const V v25 = v24 * p_w_r;
      const V v26 = v25 * v11;
      const V v27 = x_r - kept_mean1;
      const V v28 = v0 * v27;
      const V v29 = v26 + v28;
      const V v30 = v29 + v28;
      const V v31 = v17 - v30;
      const V v32 = v4 * old_h;
      const V v33 = v4 * gate_n;
      const V v34 = v32 - v33;
      const V v35 = gate_z * v5;
      const V v36 = v34 * v35;
      const V v37 = v36 * p_w_z;
      const V v38 = v37 * v11;
      const V v39 = x_z - kept_mean1;
      const V v40 = v0 * v39;
      const V v41 = v38 + v40;
      const V v42 = v41 + v40;
      const V v43 = v31 - v42;
      const V v44 = v9 * gate_r;
      const V v45 = v44 * p_u_n;
      const V v47 = v45 * v46;
      const V v48 = v1 * v18;
      const V v49 = v47 + v48;
      const V v50 = v49 + v48;
      const V v51 = -v50;
      const V v52 = v24 * p_u_r;
      const V v53 = v52 * v46;
      const V v54 = U_r - kept_mean2;
      const V v55 = v1 * v54;
      const V v56 = v53 + v55;
      const V v57 = v56 + v55;
      const V v58 = v51 - v57;
      const V v59 = v36 * p_u_z;
      const V v60 = v59 * v46;
      const V v61 = U_z - kept_mean2;
      const V v62 = v1 * v61;
      const V v63 = v60 + v62;
      const V v64 = v63 + v62;
      const V v65 = v58 - v64;
      HG_ADD(sum_2, v43);
      HG_ADD(sum_3, v65);
    }
    HG_STORE_ONCE(0, v0);
    HG_STORE_ONCE(1, v1);
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void zoneout_layer_norm_gru_backward_2(const hg_tile& tile) {
  HG_PASS(tile, 27, 6) {
    const V kept_mean = HG_ONCE(7);
    const V kept_sqrt = HG_ONCE(8);
    const V kept_sqrt0 = HG_ONCE(11);
    const V kept_div = HG_ONCE(12);
    const V kept_mean0 = HG_ONCE(14);
    const V kept_mean1 = HG_ONCE(15);
    const V kept_div0 = HG_ONCE(22);
    const V kept_mean2 = HG_ONCE(24);
    const V v16 = number<V>(1.0) / kept_sqrt0;
    const V v22 = kept_mean1 / number<V>(3.0);
    const V v44 = number<V>(1.0) / kept_sqrt;
    const V v50 = kept_mean2 / number<V>(3.0);
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V m_h = HG_READ(2);
      const V gate_z = HG_READ(3);
      const V gate_n = HG_READ(4);
      const V p_u_n = HG_READ(5);
      const V U_n = HG_READ(6);
      const V gate_r = HG_READ(9);
      const V p_w_r = HG_READ(10);
      const V x_r = HG_READ(13);
      const V old_h = HG_READ(16);
      const V p_w_z = HG_READ(17);
      const V x_z = HG_READ(18);
      const V p_w_n = HG_READ(19);
      const V x_n = HG_READ(20);
      const V p_u_r = HG_READ(21);
      const V U_r = HG_READ(23);
      const V p_u_z = HG_READ(25);
      const V U_z = HG_READ(26);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v0 * v1;
      const V v3 = number<V>(1.0) - gate_z;
      const V v4 = v2 * v3;
      const V v5 = gate_n * gate_n;
      const V v6 = number<V>(1.0) - v5;
      const V v7 = v4 * v6;
      const V v8 = U_n - kept_mean;
      const V v9 = v8 / kept_sqrt;
      const V v10 = p_u_n * v9;
      const V v11 = v7 * v10;
      const V v12 = number<V>(1.0) - gate_r;
      const V v13 = gate_r * v12;
      const V v14 = v11 * v13;
      const V v15 = v14 * p_w_r;
      const V v17 = v15 * v16;
      const V v18 = x_r - kept_mean0;
      const V v19 = kept_div * v18;
      const V v20 = v17 + v19;
      const V v21 = v20 + v19;
      const V v23 = v21 + v22;
      const V v24 = v2 * old_h;
      const V v25 = v2 * gate_n;
      const V v26 = v24 - v25;
      const V v27 = gate_z * v3;
      const V v28 = v26 * v27;
      const V v29 = v28 * p_w_z;
      const V v30 = v29 * v16;
      const V v31 = x_z - kept_mean0;
      const V v32 = kept_div * v31;
      const V v33 = v30 + v32;
      const V v34 = v33 + v32;
      const V v35 = v34 + v22;
      const V v36 = v7 * p_w_n;
      const V v37 = v36 * v16;
      const V v38 = x_n - kept_mean0;
      const V v39 = kept_div * v38;
      const V v40 = v37 + v39;
      const V v41 = v40 + v39;
      const V v42 = v41 + v22;
      const V v43 = v14 * p_u_r;
      const V v45 = v43 * v44;
      const V v46 = U_r - kept_mean;
      const V v47 = kept_div0 * v46;
      const V v48 = v45 + v47;
      const V v49 = v48 + v47;
      const V v51 = v49 + v50;
      const V v52 = v28 * p_u_z;
      const V v53 = v52 * v44;
      const V v54 = U_z - kept_mean;
      const V v55 = kept_div0 * v54;
      const V v56 = v53 + v55;
      const V v57 = v56 + v55;
      const V v58 = v57 + v50;
      const V v59 = v7 * gate_r;
      const V v60 = v59 * p_u_n;
      const V v61 = v60 * v44;
      const V v62 = kept_div0 * v8;
      const V v63 = v61 + v62;
      const V v64 = v63 + v62;
      const V v65 = v64 + v50;
      HG_STORE(0, v23);
      HG_STORE(1, v35);
      HG_STORE(2, v42);
      HG_STORE(3, v51);
      HG_STORE(4, v58);
      HG_STORE(5, v65);
    }
  }
}

template <class V>
void zoneout_layer_norm_gru_backward_3(const hg_tile& tile) {
  HG_PASS(tile, 5, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      const V d_h = HG_READ(1);
      const V dy_h = HG_READ(2);
      const V m_h = HG_READ(3);
      const V gate_z = HG_READ(4);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v0 * v1;
      const V v3 = v2 * gate_z;
      const V v4 = dv_0 + v3;
      const V v5 = v0 * m_h;
      const V v6 = v4 + v5;
      HG_STORE(0, v6);
    }
  }
}

template <class V>
void zoneout_layer_norm_gru_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 22, 4) {
    const V kept_mean = HG_ONCE(6);
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean0 = HG_ONCE(11);
    const V kept_sqrt0 = HG_ONCE(12);
    const V v39 = number<V>(0.5) / kept_sqrt0;
    const V v59 = number<V>(0.5) / kept_sqrt;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V m_h = HG_READ(1);
      const V gate_z = HG_READ(2);
      const V gate_n = HG_READ(3);
      const V p_u_n = HG_READ(4);
      const V U_n = HG_READ(5);
      const V gate_r = HG_READ(8);
      const V p_w_r = HG_READ(9);
      const V x_r = HG_READ(10);
      const V p_w_n = HG_READ(13);
      const V x_n = HG_READ(14);
      const V old_h = HG_READ(15);
      const V p_w_z = HG_READ(16);
      const V x_z = HG_READ(17);
      const V p_u_r = HG_READ(18);
      const V U_r = HG_READ(19);
      const V p_u_z = HG_READ(20);
      const V U_z = HG_READ(21);
      const V v0 = number<V>(1.0) - m_h;
      const V v1 = v0 * gate_z;
      const V v2 = v1 + m_h;
      const V v3 = d_h * v2;
      const V v4 = number<V>(1.0) - gate_z;
      const V v5 = v0 * v4;
      const V v6 = gate_n * gate_n;
      const V v7 = number<V>(1.0) - v6;
      const V v8 = v5 * v7;
      const V v9 = U_n - kept_mean;
      const V v10 = v9 / kept_sqrt;
      const V v11 = p_u_n * v10;
      const V v12 = v8 * v11;
      const V v13 = number<V>(1.0) - gate_r;
      const V v14 = gate_r * v13;
      const V v15 = v12 * v14;
      const V v16 = v15 * p_w_r;
      const V v17 = x_r - kept_mean0;
      const V v18 = v17 / kept_sqrt0;
      const V v19 = v18 / kept_sqrt0;
      const V v20 = v16 * v19;
      const V v21 = -v20;
      const V v22 = v8 * p_w_n;
      const V v23 = x_n - kept_mean0;
      const V v24 = v23 / kept_sqrt0;
      const V v25 = v24 / kept_sqrt0;
      const V v26 = v22 * v25;
      const V v27 = v21 - v26;
      const V v28 = v0 * old_h;
      const V v29 = v0 * gate_n;
      const V v30 = v28 - v29;
      const V v31 = gate_z * v4;
      const V v32 = v30 * v31;
      const V v33 = v32 * p_w_z;
      const V v34 = x_z - kept_mean0;
      const V v35 = v34 / kept_sqrt0;
      const V v36 = v35 / kept_sqrt0;
      const V v37 = v33 * v36;
      const V v38 = v27 - v37;
      const V v40 = v38 * v39;
      const V v41 = d_h * v40;
      const V v42 = v8 * gate_r;
      const V v43 = v42 * p_u_n;
      const V v44 = v10 / kept_sqrt;
      const V v45 = v43 * v44;
      const V v46 = -v45;
      const V v47 = v15 * p_u_r;
      const V v48 = U_r - kept_mean;
      const V v49 = v48 / kept_sqrt;
      const V v50 = v49 / kept_sqrt;
      const V v51 = v47 * v50;
      const V v52 = v46 - v51;
      const V v53 = v32 * p_u_z;
      const V v54 = U_z - kept_mean;
      const V v55 = v54 / kept_sqrt;
      const V v56 = v55 / kept_sqrt;
      const V v57 = v53 * v56;
      const V v58 = v52 - v57;
      const V v60 = v58 * v59;
      const V v61 = d_h * v60;
      HG_STORE(0, d_h);
      HG_KEEP(1, v3);
      HG_ADD(sum_2, v41);
      HG_ADD(sum_3, v61);
    }
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void zoneout_layer_norm_gru_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 24, 4) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V kept_mean1 = HG_ONCE(3);
    const V kept_mean2 = HG_ONCE(12);
    const V kept_sqrt = HG_ONCE(13);
    const V kept_sqrt0 = HG_ONCE(16);
    const V v0 = kept_mean / number<V>(3.0);
    const V v1 = kept_mean0 / number<V>(3.0);
    const V v28 = number<V>(1.0) / kept_sqrt0;
    const V v57 = number<V>(1.0) / kept_sqrt;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V x_r = HG_READ(2);
      const V x_z = HG_READ(4);
      const V x_n = HG_READ(5);
      const V d_h = HG_READ(6);
      const V m_h = HG_READ(7);
      const V gate_z = HG_READ(8);
      const V gate_n = HG_READ(9);
      const V p_u_n = HG_READ(10);
      const V U_n = HG_READ(11);
      const V gate_r = HG_READ(14);
      const V p_w_r = HG_READ(15);
      const V p_w_n = HG_READ(17);
      const V old_h = HG_READ(18);
      const V p_w_z = HG_READ(19);
      const V U_r = HG_READ(20);
      const V U_z = HG_READ(21);
      const V p_u_r = HG_READ(22);
      const V p_u_z = HG_READ(23);
      const V v2 = x_r - kept_mean1;
      const V v3 = v2 + v2;
      const V v4 = v0 * v3;
      const V v5 = -v4;
      const V v6 = x_z - kept_mean1;
      const V v7 = v6 + v6;
      const V v8 = v0 * v7;
      const V v9 = v5 - v8;
      const V v10 = x_n - kept_mean1;
      const V v11 = v10 + v10;
      const V v12 = v0 * v11;
      const V v13 = v9 - v12;
      const V v14 = number<V>(1.0) - m_h;
      const V v15 = number<V>(1.0) - gate_z;
      const V v16 = v14 * v15;
      const V v17 = gate_n * gate_n;
      const V v18 = number<V>(1.0) - v17;
      const V v19 = v16 * v18;
      const V v20 = U_n - kept_mean2;
      const V v21 = v20 / kept_sqrt;
      const V v22 = p_u_n * v21;
      const V v23 = v19 * v22;
      const V v24 = number<V>(1.0) - gate_r;
      const V v25 = gate_r * v24;
      const V v26 = v23 * v25;
      const V v27 = v26 * p_w_r;
      const V v29 = v27 * v28;
      const V v30 = -v29;
      const V v31 = v19 * p_w_n;
      const V v32 = v31 * v28;
      const V v33 = v30 - v32;
      const V v34 = v14 * old_h;
      const V v35 = v14 * gate_n;
      const V v36 = v34 - v35;
      const V v37 = gate_z * v15;
      const V v38 = v36 * v37;
      const V v39 = v38 * p_w_z;
      const V v40 = v39 * v28;
      const V v41 = v33 - v40;
      const V v42 = d_h * v41;
      const V v43 = v13 + v42;
      const V v44 = U_r - kept_mean2;
      const V v45 = v44 + v44;
      const V v46 = v1 * v45;
      const V v47 = -v46;
      const V v48 = U_z - kept_mean2;
      const V v49 = v48 + v48;
      const V v50 = v1 * v49;
      const V v51 = v47 - v50;
      const V v52 = v20 + v20;
      const V v53 = v1 * v52;
      const V v54 = v51 - v53;
      const V v55 = v19 * gate_r;
      const V v56 = v55 * p_u_n;
      const V v58 = v56 * v57;
      const V v59 = -v58;
      const V v60 = v26 * p_u_r;
      const V v61 = v60 * v57;
      const V v62 = v59 - v61;
      const V v63 = v38 * p_u_z;
      const V v64 = v63 * v57;
      const V v65 = v62 - v64;
      const V v66 = d_h * v65;
      const V v67 = v54 + v66;
      HG_ADD(sum_2, v43);
      HG_ADD(sum_3, v67);
    }
    HG_STORE_ONCE(0, v0);
    HG_STORE_ONCE(1, v1);
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void zoneout_layer_norm_gru_adjoint_2(const hg_tile& tile) {
  HG_PASS(tile, 26, 6) {
    const V kept_div = HG_ONCE(0);
    const V kept_mean = HG_ONCE(2);
    const V kept_mean0 = HG_ONCE(9);
    const V kept_sqrt = HG_ONCE(10);
    const V kept_sqrt0 = HG_ONCE(13);
    const V kept_mean1 = HG_ONCE(14);
    const V kept_div0 = HG_ONCE(20);
    const V kept_mean2 = HG_ONCE(23);
    const V v17 = number<V>(1.0) / kept_sqrt0;
    const V v21 = kept_mean1 / number<V>(3.0);
    const V v48 = number<V>(1.0) / kept_sqrt;
    const V v52 = kept_mean2 / number<V>(3.0);
    HG_UNITS {
      const V x_r = HG_READ(1);
      const V d_h = HG_READ(3);
      const V m_h = HG_READ(4);
      const V gate_z = HG_READ(5);
      const V gate_n = HG_READ(6);
      const V p_u_n = HG_READ(7);
      const V U_n = HG_READ(8);
      const V gate_r = HG_READ(11);
      const V p_w_r = HG_READ(12);
      const V x_z = HG_READ(15);
      const V old_h = HG_READ(16);
      const V p_w_z = HG_READ(17);
      const V x_n = HG_READ(18);
      const V p_w_n = HG_READ(19);
      const V U_r = HG_READ(21);
      const V p_u_r = HG_READ(22);
      const V U_z = HG_READ(24);
      const V p_u_z = HG_READ(25);
      const V v0 = x_r - kept_mean;
      const V v1 = v0 + v0;
      const V v2 = kept_div * v1;
      const V v3 = number<V>(1.0) - m_h;
      const V v4 = number<V>(1.0) - gate_z;
      const V v5 = v3 * v4;
      const V v6 = gate_n * gate_n;
      const V v7 = number<V>(1.0) - v6;
      const V v8 = v5 * v7;
      const V v9 = U_n - kept_mean0;
      const V v10 = v9 / kept_sqrt;
      const V v11 = p_u_n * v10;
      const V v12 = v8 * v11;
      const V v13 = number<V>(1.0) - gate_r;
      const V v14 = gate_r * v13;
      const V v15 = v12 * v14;
      const V v16 = v15 * p_w_r;
      const V v18 = v16 * v17;
      const V v19 = d_h * v18;
      const V v20 = v2 + v19;
      const V v22 = v20 + v21;
      const V v23 = x_z - kept_mean;
      const V v24 = v23 + v23;
      const V v25 = kept_div * v24;
      const V v26 = v3 * old_h;
      const V v27 = v3 * gate_n;
      const V v28 = v26 - v27;
      const V v29 = gate_z * v4;
      const V v30 = v28 * v29;
      const V v31 = v30 * p_w_z;
      const V v32 = v31 * v17;
      const V v33 = d_h * v32;
      const V v34 = v25 + v33;
      const V v35 = v34 + v21;
      const V v36 = x_n - kept_mean;
      const V v37 = v36 + v36;
      const V v38 = kept_div * v37;
      const V v39 = v8 * p_w_n;
      const V v40 = v39 * v17;
      const V v41 = d_h * v40;
      const V v42 = v38 + v41;
      const V v43 = v42 + v21;
      const V v44 = U_r - kept_mean0;
      const V v45 = v44 + v44;
      const V v46 = kept_div0 * v45;
      const V v47 = v15 * p_u_r;
      const V v49 = v47 * v48;
      const V v50 = d_h * v49;
      const V v51 = v46 + v50;
      const V v53 = v51 + v52;
      const V v54 = U_z - kept_mean0;
      const V v55 = v54 + v54;
      const V v56 = kept_div0 * v55;
      const V v57 = v30 * p_u_z;
      const V v58 = v57 * v48;
      const V v59 = d_h * v58;
      const V v60 = v56 + v59;
      const V v61 = v60 + v52;
      const V v62 = v9 + v9;
      const V v63 = kept_div0 * v62;
      const V v64 = v8 * gate_r;
      const V v65 = v64 * p_u_n;
      const V v66 = v65 * v48;
      const V v67 = d_h * v66;
      const V v68 = v63 + v67;
      const V v69 = v68 + v52;
      HG_STORE(0, v22);
      HG_STORE(1, v35);
      HG_STORE(2, v43);
      HG_STORE(3, v53);
      HG_STORE(4, v61);
      HG_STORE(5, v69);
    }
  }
}

template <class V>
void zoneout_layer_norm_gru_adjoint_3(const hg_tile& tile) {
  HG_PASS(tile, 5, 1) {
    const V along_highway = HG_ONCE(0);
    HG_UNITS {
      const V d_h = HG_READ(1);
      const V m_h = HG_READ(2);
      const V gate_z = HG_READ(3);
      const V dw_0 = HG_READ(4);
      const V v0 = number<V>(1.0) - m_h;
      const V v1 = v0 * gate_z;
      const V v2 = v1 + m_h;
      const V v3 = d_h * v2;
      const V v4 = along_highway * v3;
      const V v5 = v4 + dw_0;
      HG_STORE(0, v5);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT(zoneout_layer_norm_gru_forward_0)
HG_EXPORT(zoneout_layer_norm_gru_forward_1)
HG_EXPORT(zoneout_layer_norm_gru_forward_2)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_gru_forward_3)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_gru_backward_0)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_gru_backward_1)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_gru_backward_2)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_gru_backward_3)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_gru_adjoint_0)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_gru_adjoint_1)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_gru_adjoint_2)
HG_EXPORT_BY_TWOS(zoneout_layer_norm_gru_adjoint_3)
