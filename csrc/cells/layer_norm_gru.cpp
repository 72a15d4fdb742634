// GRU(layer_norm=True): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void layer_norm_gru_forward_0(const hg_tile& tile) {
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
void layer_norm_gru_forward_1(const hg_tile& tile) {
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
void layer_norm_gru_forward_2(const hg_tile& tile) {
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
void layer_norm_gru_forward_3(const hg_tile& tile) {
  HG_PASS(tile, 20, 5) {
    const V kept_mean = HG_ONCE(2);
    const V kept_sqrt = HG_ONCE(3);
    const V kept_mean0 = HG_ONCE(7);
    const V kept_mean1 = HG_ONCE(8);
    const V v5 = kept_mean1 + number<V>(1e-05);
    const V v6 = sqrt(v5);
    HG_UNITS {
      const V p_w_z = HG_READ(0);
      const V x_z = HG_READ(1);
      const V p_b_z = HG_READ(4);
      const V p_u_z = HG_READ(5);
      const V U_z = HG_READ(6);
      const V p_w_n = HG_READ(9);
      const V x_n = HG_READ(10);
      const V p_b_n = HG_READ(11);
      const V p_w_r = HG_READ(12);
      const V x_r = HG_READ(13);
      const V p_b_r = HG_READ(14);
      const V p_u_r = HG_READ(15);
      const V U_r = HG_READ(16);
      const V p_u_n = HG_READ(17);
      const V U_n = HG_READ(18);
      const V old_h = HG_READ(19);
      const V v0 = x_z - kept_mean;
      const V v1 = v0 / kept_sqrt;
      const V v2 = p_w_z * v1;
      const V v3 = v2 + p_b_z;
      const V v4 = U_z - kept_mean0;
      const V v7 = v4 / v6;
      const V v8 = p_u_z * v7;
      const V v9 = v3 + v8;
      const V gate_z = sigmoid(v9);
      const V v10 = number<V>(1.0) - gate_z;
      const V v11 = x_n - kept_mean;
      const V v12 = v11 / kept_sqrt;
      const V v13 = p_w_n * v12;
      const V v14 = v13 + p_b_n;
      const V v15 = x_r - kept_mean;
      const V v16 = v15 / kept_sqrt;
      const V v17 = p_w_r * v16;
      const V v18 = v17 + p_b_r;
      const V v19 = U_r - kept_mean0;
      const V v20 = v19 / v6;
      const V v21 = p_u_r * v20;
      const V v22 = v18 + v21;
      const V gate_r = sigmoid(v22);
      const V v23 = U_n - kept_mean0;
      const V v24 = v23 / v6;
      const V v25 = p_u_n * v24;
      const V v26 = gate_r * v25;
      const V v27 = v14 + v26;
      const V gate_n = tanh(v27);
      const V v28 = v10 * gate_n;
      const V v29 = gate_z * old_h;
      const V new_h = v28 + v29;
      HG_STORE(0, new_h);
      HG_KEEP(1, gate_z);
      HG_KEEP(2, gate_n);
      HG_KEEP(4, gate_r);
    }
    HG_KEEP_ONCE(3, v6);
  }
}

template <class V>
void layer_norm_gru_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 22, 11) {
    const V kept_mean = HG_ONCE(6);
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean0 = HG_ONCE(13);
    const V kept_sqrt0 = HG_ONCE(14);
    const V v47 = number<V>(0.5) / kept_sqrt0;
    const V v61 = number<V>(0.5) / kept_sqrt;
    V sum_9{};
    V sum_10{};
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V gate_z = HG_READ(2);
      const V gate_n = HG_READ(3);
      const V p_u_n = HG_READ(4);
      const V U_n = HG_READ(5);
      const V gate_r = HG_READ(8);
      const V U_r = HG_READ(9);
      const V old_h = HG_READ(10);
      const V U_z = HG_READ(11);
      const V x_r = HG_READ(12);
      const V x_z = HG_READ(15);
      const V x_n = HG_READ(16);
      const V p_w_r = HG_READ(17);
      const V p_w_n = HG_READ(18);
      const V p_w_z = HG_READ(19);
      const V p_u_r = HG_READ(20);
      const V p_u_z = HG_READ(21);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - gate_z;
      const V v2 = v0 * v1;
      const V v3 = gate_n * gate_n;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = U_n - kept_mean;
      const V v7 = v6 / kept_sqrt;
      const V v8 = p_u_n * v7;
      const V v9 = v5 * v8;
      const V v10 = number<V>(1.0) - gate_r;
      const V v11 = gate_r * v10;
      const V v12 = v9 * v11;
      const V v13 = U_r - kept_mean;
      const V v14 = v13 / kept_sqrt;
      const V v15 = v12 * v14;
      const V v16 = v0 * old_h;
      const V v17 = v0 * gate_n;
      const V v18 = v16 - v17;
      const V v19 = gate_z * v1;
      const V v20 = v18 * v19;
      const V v21 = U_z - kept_mean;
      const V v22 = v21 / kept_sqrt;
      const V v23 = v20 * v22;
      const V v24 = v5 * gate_r;
      const V v25 = v24 * v7;
      const V v26 = x_r - kept_mean0;
      const V v27 = v26 / kept_sqrt0;
      const V v28 = v12 * v27;
      const V v29 = x_z - kept_mean0;
      const V v30 = v29 / kept_sqrt0;
      const V v31 = v20 * v30;
      const V v32 = x_n - kept_mean0;
      const V v33 = v32 / kept_sqrt0;
      const V v34 = v5 * v33;
      const V v35 = v12 * p_w_r;
      const V v36 = v27 / kept_sqrt0;
      const V v37 = v35 * v36;
      const V v38 = -v37;
      const V v39 = v5 * p_w_n;
      const V v40 = v33 / kept_sqrt0;
      const V v41 = v39 * v40;
      const V v42 = v38 - v41;
      const V v43 = v20 * p_w_z;
      const V v44 = v30 / kept_sqrt0;
      const V v45 = v43 * v44;
      const V v46 = v42 - v45;
      const V v48 = v46 * v47;
      const V v49 = v24 * p_u_n;
      const V v50 = v7 / kept_sqrt;
      const V v51 = v49 * v50;
      const V v52 = -v51;
      const V v53 = v12 * p_u_r;
      const V v54 = v14 / kept_sqrt;
      const V v55 = v53 * v54;
      const V v56 = v52 - v55;
      const V v57 = v20 * p_u_z;
      const V v58 = v22 / kept_sqrt;
      const V v59 = v57 * v58;
      const V v60 = v56 - v59;
      const V v62 = v60 * v61;
      HG_SUM(0, v15);
      HG_SUM(1, v23);
      HG_SUM(2, v25);
      HG_SUM(3, v28);
      HG_SUM(4, v31);
      HG_SUM(5, v34);
      HG_SUM(6, v12);
      HG_SUM(7, v20);
      HG_SUM(8, v5);
      HG_ADD(sum_9, v48);
      HG_ADD(sum_10, v62);
    }
    HG_ADDED(9, sum_9);
    HG_ADDED(10, sum_10);
  }
}

template <class V>
void layer_norm_gru_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 24, 4) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V kept_sqrt = HG_ONCE(7);
    const V kept_mean1 = HG_ONCE(9);
    const V kept_mean2 = HG_ONCE(12);
    const V kept_sqrt0 = HG_ONCE(13);
    const V v0 = kept_mean / number<V>(3.0);
    const V v1 = kept_mean0 / number<V>(3.0);
    const V v9 = number<V>(1.0) / kept_sqrt;
    const V v44 = number<V>(1.0) / kept_sqrt0;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V d_h = HG_READ(2);
      const V dy_h = HG_READ(3);
      const V gate_z = HG_READ(4);
      const V gate_n = HG_READ(5);
      const V p_w_n = HG_READ(6);
      const V x_n = HG_READ(8);
      const V p_u_n = HG_READ(10);
      const V U_n = HG_READ(11);
      const V gate_r = HG_READ(14);
      const V p_w_r = HG_READ(15);
      const V x_r = HG_READ(16);
      const V old_h = HG_READ(17);
      const V p_w_z = HG_READ(18);
      const V x_z = HG_READ(19);
      const V p_u_r = HG_READ(20);
      const V U_r = HG_READ(21);
      const V p_u_z = HG_READ(22);
      const V U_z = HG_READ(23);
      const V v2 = d_h + dy_h;
      const V v3 = number<V>(1.0) - gate_z;
      const V v4 = v2 * v3;
      const V v5 = gate_n * gate_n;
      const V v6 = number<V>(1.0) - v5;
      const V v7 = v4 * v6;
      const V v8 = v7 * p_w_n;
      const V v10 = v8 * v9;
      const V v11 = x_n - kept_mean1;
      const V v12 = v0 * v11;
      const V v13 = v10 + v12;
      const V v14 = v13 + v12;
      const V v15 = -v14;
      const V v16 = U_n - kept_mean2;
      const V v17 = v16 / kept_sqrt0;
      const V v18 = p_u_n * v17;
      const V v19 = v7 * v18;
      const V v20 = number<V>(1.0) - gate_r;
      const V v21 = gate_r * v20;
      const V v22 = v19 * v21;
      const V v23 = v22 * p_w_r;
      const V v24 = v23 * v9;
      const V v25 = x_r - kept_mean1;
      const V v26 = v0 * v25;
      const V v27 = v24 + v26;
      const V v28 = v27 + v26;
      const V v29 = v15 - v28;
      const V v30 = v2 * old_h;
      const V v31 = v2 * gate_n;
      const V v32 = v30 - v31;
      const V v33 = gate_z * v3;
      const V v34 = v32 * v33;
      const V v35 = v34 * p_w_z;
      const V v36 = v35 * v9;
      const V v37 = x_z - kept_mean1;
      const V v38 = v0 * v37;
      const V v39 = v36 + v38;
      const V v40 = v39 + v38;
      const V v41 = v29 - v40;
      const V v42 = v7 * gate_r;
      const V v43 = v42 * p_u_n;
      const V v45 = v43 * v44;
      const V v46 = v1 * v16;
      const V v47 = v45 + v46;
      const V v48 = v47 + v46;
      const V v49 = -v48;
      const V v50 = v22 * p_u_r;
      const V v51 = v50 * v44;
      const V v52 = U_r - kept_mean2;
      const V v53 = v1 * v52;
      const V v54 = v51 + v53;
      const V v55 = v54 + v53;
      const V v56 = v49 - v55;
      const V v57 = v34 * p_u_z;
      const V v58 = v57 * v44;
      const V v59 = U_z - kept_mean2;
      const V v60 = v1 * v59;
      const V v61 = v58 + v60;
      const V v62 = v61 + v60;
      const V v63 = v56 - v62;
      HG_ADD(sum_2, v41);
      HG_ADD(sum_3, v63);
    }
    HG_STORE_ONCE(0, v0);
    HG_STORE_ONCE(1, v1);
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void layer_norm_gru_backward_2(const hg_tile& tile) {
  HG_PASS(tile, 26, 6) {
    const V kept_mean = HG_ONCE(6);
    const V kept_sqrt = HG_ONCE(7);
    const V kept_sqrt0 = HG_ONCE(10);
    const V kept_div = HG_ONCE(11);
    const V kept_mean0 = HG_ONCE(13);
    const V kept_mean1 = HG_ONCE(14);
    const V kept_div0 = HG_ONCE(21);
    const V kept_mean2 = HG_ONCE(23);
    const V v14 = number<V>(1.0) / kept_sqrt0;
    const V v20 = kept_mean1 / number<V>(3.0);
    const V v42 = number<V>(1.0) / kept_sqrt;
    const V v48 = kept_mean2 / number<V>(3.0);
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V gate_z = HG_READ(2);
      const V gate_n = HG_READ(3);
      const V p_u_n = HG_READ(4);
      const V U_n = HG_READ(5);
      const V gate_r = HG_READ(8);
      const V p_w_r = HG_READ(9);
      const V x_r = HG_READ(12);
      const V old_h = HG_READ(15);
      const V p_w_z = HG_READ(16);
      const V x_z = HG_READ(17);
      const V p_w_n = HG_READ(18);
      const V x_n = HG_READ(19);
      const V p_u_r = HG_READ(20);
      const V U_r = HG_READ(22);
      const V p_u_z = HG_READ(24);
      const V U_z = HG_READ(25);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - gate_z;
      const V v2 = v0 * v1;
      const V v3 = gate_n * gate_n;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = U_n - kept_mean;
      const V v7 = v6 / kept_sqrt;
      const V v8 = p_u_n * v7;
      const V v9 = v5 * v8;
      const V v10 = number<V>(1.0) - gate_r;
      const V v11 = gate_r * v10;
      const V v12 = v9 * v11;
      const V v13 = v12 * p_w_r;
      const V v15 = v13 * v14;
      const V v16 = x_r - kept_mean0;
      const V v17 = kept_div * v16;
      const V v18 = v15 + v17;
      const V v19 = v18 + v17;
      const V v21 = v19 + v20;
      const V v22 = v0 * old_h;
      const V v23 = v0 * gate_n;
      const V v24 = v22 - v23;
      const V v25 = gate_z * v1;
      const V v26 = v24 * v25;
      const V v27 = v26 * p_w_z;
      const V v28 = v27 * v14;
      const V v29 = x_z - kept_mean0;
      const V v30 = kept_div * v29;
      const V v31 = v28 + v30;
      const V v32 = v31 + v30;
      const V v33 = v32 + v20;
      const V v34 = v5 * p_w_n;
      const V v35 = v34 * v14;
      const V v36 = x_n - kept_mean0;
      const V v37 = kept_div * v36;
      const V v38 = v35 + v37;
      const V v39 = v38 + v37;
      const V v40 = v39 + v20;
      const V v41 = v12 * p_u_r;
      const V v43 = v41 * v42;
      const V v44 = U_r - kept_mean;
      const V v45 = kept_div0 * v44;
      const V v46 = v43 + v45;
      const V v47 = v46 + v45;
      const V v49 = v47 + v48;
      const V v50 = v26 * p_u_z;
      const V v51 = v50 * v42;
      const V v52 = U_z - kept_mean;
      const V v53 = kept_div0 * v52;
      const V v54 = v51 + v53;
      const V v55 = v54 + v53;
      const V v56 = v55 + v48;
      const V v57 = v5 * gate_r;
      const V v58 = v57 * p_u_n;
      const V v59 = v58 * v42;
      const V v60 = kept_div0 * v6;
      const V v61 = v59 + v60;
      const V v62 = v61 + v60;
      const V v63 = v62 + v48;
      HG_STORE(0, v21);
      HG_STORE(1, v33);
      HG_STORE(2, v40);
      HG_STORE(3, v49);
      HG_STORE(4, v56);
      HG_STORE(5, v63);
    }
  }
}

template <class V>
void layer_norm_gru_backward_3(const hg_tile& tile) {
  HG_PASS(tile, 4, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      const V d_h = HG_READ(1);
      const V dy_h = HG_READ(2);
      const V gate_z = HG_READ(3);
      const V v0 = d_h + dy_h;
      const V v1 = v0 * gate_z;
      const V v2 = dv_0 + v1;
      HG_STORE(0, v2);
    }
  }
}

template <class V>
void layer_norm_gru_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 21, 4) {
    const V kept_mean = HG_ONCE(5);
    const V kept_sqrt = HG_ONCE(6);
    const V kept_mean0 = HG_ONCE(10);
    const V kept_sqrt0 = HG_ONCE(11);
    const V v33 = number<V>(0.5) / kept_sqrt0;
    const V v53 = number<V>(0.5) / kept_sqrt;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V gate_z = HG_READ(1);
      const V gate_n = HG_READ(2);
      const V p_u_n = HG_READ(3);
      const V U_n = HG_READ(4);
      const V gate_r = HG_READ(7);
      const V p_w_r = HG_READ(8);
      const V x_r = HG_READ(9);
      const V p_w_n = HG_READ(12);
      const V x_n = HG_READ(13);
      const V old_h = HG_READ(14);
      const V p_w_z = HG_READ(15);
      const V x_z = HG_READ(16);
      const V p_u_r = HG_READ(17);
      const V U_r = HG_READ(18);
      const V p_u_z = HG_READ(19);
      const V U_z = HG_READ(20);
      const V v0 = d_h * gate_z;
      const V v1 = number<V>(1.0) - gate_z;
      const V v2 = gate_n * gate_n;
      const V v3 = number<V>(1.0) - v2;
      const V v4 = v1 * v3;
      const V v5 = U_n - kept_mean;
      const V v6 = v5 / kept_sqrt;
      const V v7 = p_u_n * v6;
      const V v8 = v4 * v7;
      const V v9 = number<V>(1.0) - gate_r;
      const V v10 = gate_r * v9;
      const V v11 = v8 * v10;
      const V v12 = v11 * p_w_r;
      const V v13 = x_r - kept_mean0;
      const V v14 = v13 / kept_sqrt0;
      const V v15 = v14 / kept_sqrt0;
      const V v16 = v12 * v15;
      const V v17 = -v16;
      const V v18 = v4 * p_w_n;
      const V v19 = x_n - kept_mean0;
      const V v20 = v19 / kept_sqrt0;
      const V v21 = v20 / kept_sqrt0;
      const V v22 = v18 * v21;
      const V v23 = v17 - v22;
      const V v24 = old_h - gate_n;
      const V v25 = gate_z * v1;
      const V v26 = v24 * v25;
      const V v27 = v26 * p_w_z;
      const V v28 = x_z - kept_mean0;
      const V v29 = v28 / kept_sqrt0;
      const V v30 = v29 / kept_sqrt0;
      const V v31 = v27 * v30;
      const V v32 = v23 - v31;
      const V v34 = v32 * v33;
      const V v35 = d_h * v34;
      const V v36 = v4 * gate_r;
      const V v37 = v36 * p_u_n;
      const V v38 = v6 / kept_sqrt;
      const V v39 = v37 * v38;
      const V v40 = -v39;
      const V v41 = v11 * p_u_r;
      const V v42 = U_r - kept_mean;
      const V v43 = v42 / kept_sqrt;
      const V v44 = v43 / kept_sqrt;
      const V v45 = v41 * v44;
      const V v46 = v40 - v45;
      const V v47 = v26 * p_u_z;
      const V v48 = U_z - kept_mean;
      const V v49 = v48 / kept_sqrt;
      const V v50 = v49 / kept_sqrt;
      const V v51 = v47 * v50;
      const V v52 = v46 - v51;
      const V v54 = v52 * v53;
      const V v55 = d_h * v54;
      HG_STORE(0, d_h);
      HG_KEEP(1, v0);
      HG_ADD(sum_2, v35);
      HG_ADD(sum_3, v55);
    }
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void layer_norm_gru_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 23, 4) {
    const V kept_mean = HG_ONCE(0);
    const V kept_mean0 = HG_ONCE(1);
    const V kept_mean1 = HG_ONCE(3);
    const V kept_mean2 = HG_ONCE(11);
    const V kept_sqrt = HG_ONCE(12);
    const V kept_sqrt0 = HG_ONCE(15);
    const V v0 = kept_mean / number<V>(3.0);
    const V v1 = kept_mean0 / number<V>(3.0);
    const V v26 = number<V>(1.0) / kept_sqrt0;
    const V v53 = number<V>(1.0) / kept_sqrt;
    V sum_2{};
    V sum_3{};
    HG_UNITS {
      const V x_r = HG_READ(2);
      const V x_z = HG_READ(4);
      const V x_n = HG_READ(5);
      const V d_h = HG_READ(6);
      const V gate_z = HG_READ(7);
      const V gate_n = HG_READ(8);
      const V p_u_n = HG_READ(9);
      const V U_n = HG_READ(10);
      const V gate_r = HG_READ(13);
      const V p_w_r = HG_READ(14);
      const V p_w_n = HG_READ(16);
      const V old_h = HG_READ(17);
      const V p_w_z = HG_READ(18);
      const V U_r = HG_READ(19);
      const V U_z = HG_READ(20);
      const V p_u_r = HG_READ(21);
      const V p_u_z = HG_READ(22);
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
      const V v14 = number<V>(1.0) - gate_z;
      const V v15 = gate_n * gate_n;
      const V v16 = number<V>(1.0) - v15;
      const V v17 = v14 * v16;
      const V v18 = U_n - kept_mean2;
      const V v19 = v18 / kept_sqrt;
      const V v20 = p_u_n * v19;
      const V v21 = v17 * v20;
      const V v22 = number<V>(1.0) - gate_r;
      const V v23 = gate_r * v22;
      const V v24 = v21 * v23;
      const V v25 = v24 * p_w_r;
      const V v27 = v25 * v26;
      const V v28 = -v27;
      const V v29 = v17 * p_w_n;
      const V v30 = v29 * v26;
      const V v31 = v28 - v30;
      const V v32 = old_h - gate_n;
      const V v33 = gate_z * v14;
      const V v34 = v32 * v33;
      const V v35 = v34 * p_w_z;
      const V v36 = v35 * v26;
      const V v37 = v31 - v36;
      const V v38 = d_h * v37;
      const V v39 = v13 + v38;
      const V v40 = U_r - kept_mean2;
      const V v41 = v40 + v40;
      const V v42 = v1 * v41;
      const V v43 = -v42;
      const V v44 = U_z - kept_mean2;
      const V v45 = v44 + v44;
      const V v46 = v1 * v45;
      const V v47 = v43 - v46;
      const V v48 = v18 + v18;
      const V v49 = v1 * v48;
      const V v50 = v47 - v49;
      const V v51 = v17 * gate_r;
      const V v52 = v51 * p_u_n;
      const V v54 = v52 * v53;
      const V v55 = -v54;
      const V v56 = v24 * p_u_r;
      const V v57 = v56 * v53;
      const V v58 = v55 - v57;
      const V v59 = v34 * p_u_z;
      const V v60 = v59 * v53;
      const V v61 = v58 - v60;
      const V v62 = d_h * v61;
      const V v63 = v50 + v62;
      HG_ADD(sum_2, v39);
      HG_ADD(sum_3, v63);
    }
    HG_STORE_ONCE(0, v0);
    HG_STORE_ONCE(1, v1);
    HG_ADDED(2, sum_2);
    HG_ADDED(3, sum_3);
  }
}

template <class V>
void layer_norm_gru_adjoint_2(const hg_tile& tile) {
  HG_PASS(tile, 25, 6) {
    const V kept_div = HG_ONCE(0);
    const V kept_mean = HG_ONCE(2);
    const V kept_mean0 = HG_ONCE(8);
    const V kept_sqrt = HG_ONCE(9);
    const V kept_sqrt0 = HG_ONCE(12);
    const V kept_mean1 = HG_ONCE(13);
    const V kept_div0 = HG_ONCE(19);
    const V kept_mean2 = HG_ONCE(22);
    const V v15 = number<V>(1.0) / kept_sqrt0;
    const V v19 = kept_mean1 / number<V>(3.0);
    const V v44 = number<V>(1.0) / kept_sqrt;
    const V v48 = kept_mean2 / number<V>(3.0);
    HG_UNITS {
      const V x_r = HG_READ(1);
      const V d_h = HG_READ(3);
      const V gate_z = HG_READ(4);
      const V gate_n = HG_READ(5);
      const V p_u_n = HG_READ(6);
      const V U_n = HG_READ(7);
      const V gate_r = HG_READ(10);
      const V p_w_r = HG_READ(11);
      const V x_z = HG_READ(14);
      const V old_h = HG_READ(15);
      const V p_w_z = HG_READ(16);
      const V x_n = HG_READ(17);
      const V p_w_n = HG_READ(18);
      const V U_r = HG_READ(20);
      const V p_u_r = HG_READ(21);
      const V U_z = HG_READ(23);
      const V p_u_z = HG_READ(24);
      const V v0 = x_r - kept_mean;
      const V v1 = v0 + v0;
      const V v2 = kept_div * v1;
      const V v3 = number<V>(1.0) - gate_z;
      const V v4 = gate_n * gate_n;
      const V v5 = number<V>(1.0) - v4;
      const V v6 = v3 * v5;
      const V v7 = U_n - kept_mean0;
      const V v8 = v7 / kept_sqrt;
      const V v9 = p_u_n * v8;
      const V v10 = v6 * v9;
      const V v11 = number<V>(1.0) - gate_r;
      const V v12 = gate_r * v11;
      const V v13 = v10 * v12;
      const V v14 = v13 * p_w_r;
      const V v16 = v14 * v15;
      const V v17 = d_h * v16;
      const V v18 = v2 + v17;
      const V v20 = v18 + v19;
      const V v21 = x_z - kept_mean;
      const V v22 = v21 + v21;
      const V v23 = kept_div * v22;
      const V v24 = old_h - gate_n;
      const V v25 = gate_z * v3;
      const V v26 = v24 * v25;
      const V v27 = v26 * p_w_z;
      const V v28 = v27 * v15;
      const V v29 = d_h * v28;
      const V v30 = v23 + v29;
      const V v31 = v30 + v19;
      const V v32 = x_n - kept_mean;
      const V v33 = v32 + v32;
      const V v34 = kept_div * v33;
      const V v35 = v6 * p_w_n;
      const V v36 = v35 * v15;
      const V v37 = d_h * v36;
      const V v38 = v34 + v37;
      const V v39 = v38 + v19;
      const V v40 = U_r - kept_mean0;
      const V v41 = v40 + v40;
      const V v42 = kept_div0 * v41;
      const V v43 = v13 * p_u_r;
      const V v45 = v43 * v44;
      const V v46 = d_h * v45;
      const V v47 = v42 + v46;
      const V v49 = v47 + v48;
      const V v50 = U_z - kept_mean0;
      const V v51 = v50 + v50;
      const V v52 = kept_div0 * v51;
      const V v53 = v26 * p_u_z;
      const V v54 = v53 * v44;
      const V v55 = d_h * v54;
      const V v56 = v52 + v55;
      const V v57 = v56 + v48;
      const V v58 = v7 + v7;
      const V v59 = kept_div0 * v58;
      const V v60 = v6 * gate_r;
      const V v61 = v60 * p_u_n;
      const V v62 = v61 * v44;
      const V v63 = d_h * v62;
      const V v64 = v59 + v63;
      const V v65 = v64 + v48;
      HG_STORE(0, v20);
      HG_STORE(1, v31);
      HG_STORE(2, v39);
      HG_STORE(3, v49);
      HG_STORE(4, v57);
      HG_STORE(5, v65);
    }
  }
}

template <class V>
void layer_norm_gru_adjoint_3(const hg_tile& tile) {
  HG_PASS(tile, 4, 1) {
    const V along_highway = HG_ONCE(0);
    HG_UNITS {
      const V d_h = HG_READ(1);
      const V gate_z = HG_READ(2);
      const V dw_0 = HG_READ(3);
      const V v0 = d_h * gate_z;
      const V v1 = along_highway * v0;
      const V v2 = v1 + dw_0;
      HG_STORE(0, v2);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT(layer_norm_gru_forward_0)
HG_EXPORT(layer_norm_gru_forward_1)
HG_EXPORT(layer_norm_gru_forward_2)
HG_EXPORT_BY_TWOS(layer_norm_gru_forward_3)
HG_EXPORT_BY_TWOS(layer_norm_gru_backward_0)
HG_EXPORT_BY_TWOS(layer_norm_gru_backward_1)
HG_EXPORT_BY_TWOS(layer_norm_gru_backward_2)
HG_EXPORT_BY_TWOS(layer_norm_gru_backward_3)
HG_EXPORT_BY_TWOS(layer_norm_gru_adjoint_0)
HG_EXPORT_BY_TWOS(layer_norm_gru_adjoint_1)
HG_EXPORT_BY_TWOS(layer_norm_gru_adjoint_2)
HG_EXPORT_BY_TWOS(layer_norm_gru_adjoint_3)
