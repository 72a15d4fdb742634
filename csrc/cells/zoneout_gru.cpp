// GRU(zoneout={'h': 0.5}): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void zoneout_gru_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 8, 5) {
    HG_UNITS {
      const V m_h = HG_READ(0);
      const V old_h = HG_READ(1);
      const V x_z = HG_READ(2);
      const V U_z = HG_READ(3);
      const V x_n = HG_READ(4);
      const V x_r = HG_READ(5);
      const V U_r = HG_READ(6);
      const V U_n = HG_READ(7);
      const V v0 = m_h * old_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = x_z + U_z;
      const V gate_z = sigmoid(v2);
      const V v3 = number<V>(1.0) - gate_z;
      const V v4 = x_r + U_r;
      const V gate_r = sigmoid(v4);
      const V v5 = gate_r * U_n;
      const V v6 = x_n + v5;
      const V gate_n = tanh(v6);
      const V v7 = v3 * gate_n;
      const V v8 = gate_z * old_h;
      const V v9 = v7 + v8;
      const V v10 = v1 * v9;
      const V new_h = v0 + v10;
      HG_STORE(0, new_h);
      HG_KEEP(1, gate_z);
      HG_KEEP(2, gate_n);
      HG_KEEP(3, U_n);
      HG_KEEP(4, gate_r);
    }
  }
}

template <class V>
void zoneout_gru_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 8, 4) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V m_h = HG_READ(2);
      const V gate_z = HG_READ(3);
      const V gate_n = HG_READ(4);
      const V U_n = HG_READ(5);
      const V gate_r = HG_READ(6);
      const V old_h = HG_READ(7);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v0 * v1;
      const V v3 = number<V>(1.0) - gate_z;
      const V v4 = v2 * v3;
      const V v5 = gate_n * gate_n;
      const V v6 = number<V>(1.0) - v5;
      const V v7 = v4 * v6;
      const V v8 = v7 * U_n;
      const V v9 = number<V>(1.0) - gate_r;
      const V v10 = gate_r * v9;
      const V v11 = v8 * v10;
      const V v12 = v2 * old_h;
      const V v13 = v2 * gate_n;
      const V v14 = v12 - v13;
      const V v15 = gate_z * v3;
      const V v16 = v14 * v15;
      const V v17 = v7 * gate_r;
      HG_STORE(0, v11);
      HG_STORE(1, v16);
      HG_STORE(2, v7);
      HG_STORE(3, v17);
    }
  }
}

template <class V>
void zoneout_gru_backward_1(const hg_tile& tile) {
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
void zoneout_gru_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 7, 6) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V m_h = HG_READ(1);
      const V gate_z = HG_READ(2);
      const V gate_n = HG_READ(3);
      const V U_n = HG_READ(4);
      const V gate_r = HG_READ(5);
      const V old_h = HG_READ(6);
      const V v0 = number<V>(1.0) - m_h;
      const V v1 = number<V>(1.0) - gate_z;
      const V v2 = v0 * v1;
      const V v3 = gate_n * gate_n;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      const V v6 = v5 * U_n;
      const V v7 = number<V>(1.0) - gate_r;
      const V v8 = gate_r * v7;
      const V v9 = v6 * v8;
      const V v10 = d_h * v9;
      const V v11 = v0 * old_h;
      const V v12 = v0 * gate_n;
      const V v13 = v11 - v12;
      const V v14 = gate_z * v1;
      const V v15 = v13 * v14;
      const V v16 = d_h * v15;
      const V v17 = d_h * v5;
      const V v18 = v5 * gate_r;
      const V v19 = d_h * v18;
      const V v20 = v0 * gate_z;
      const V v21 = v20 + m_h;
      const V v22 = d_h * v21;
      HG_STORE(0, v10);
      HG_STORE(1, v16);
      HG_STORE(2, v17);
      HG_STORE(3, v19);
      HG_STORE(4, d_h);
      HG_KEEP(5, v22);
    }
  }
}

template <class V>
void zoneout_gru_adjoint_1(const hg_tile& tile) {
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

HG_EXPORT_BY_TWOS(zoneout_gru_forward_0)
HG_EXPORT_BY_TWOS(zoneout_gru_backward_0)
HG_EXPORT_BY_TWOS(zoneout_gru_backward_1)
HG_EXPORT_BY_TWOS(zoneout_gru_adjoint_0)
HG_EXPORT_BY_TWOS(zoneout_gru_adjoint_1)
