// RNN(zoneout={'h': 0.5}): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void zoneout_rnn_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 4, 2) {
    HG_UNITS {
      const V m_h = HG_READ(0);
      const V old_h = HG_READ(1);
      const V x_h = HG_READ(2);
      const V U_h = HG_READ(3);
      const V v0 = m_h * old_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = x_h + U_h;
      const V v3 = tanh(v2);
      const V v4 = v1 * v3;
      const V new_h = v0 + v4;
      HG_STORE(0, new_h);
      HG_KEEP(1, v3);
    }
  }
}

template <class V>
void zoneout_rnn_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 4, 1) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V m_h = HG_READ(2);
      const V kept_tanh = HG_READ(3);
      const V v0 = d_h + dy_h;
      const V v1 = number<V>(1.0) - m_h;
      const V v2 = v0 * v1;
      const V v3 = kept_tanh * kept_tanh;
      const V v4 = number<V>(1.0) - v3;
      const V v5 = v2 * v4;
      HG_STORE(0, v5);
    }
  }
}

template <class V>
void zoneout_rnn_backward_1(const hg_tile& tile) {
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
void zoneout_rnn_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 3, 3) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V m_h = HG_READ(1);
      const V kept_tanh = HG_READ(2);
      const V v0 = number<V>(1.0) - m_h;
      const V v1 = kept_tanh * kept_tanh;
      const V v2 = number<V>(1.0) - v1;
      const V v3 = v0 * v2;
      const V v4 = d_h * v3;
      const V v5 = d_h * m_h;
      HG_STORE(0, v4);
      HG_STORE(1, d_h);
      HG_KEEP(2, v5);
    }
  }
}

template <class V>
void zoneout_rnn_adjoint_1(const hg_tile& tile) {
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

HG_EXPORT_BY_TWOS(zoneout_rnn_forward_0)
HG_EXPORT_BY_TWOS(zoneout_rnn_backward_0)
HG_EXPORT(zoneout_rnn_backward_1)
HG_EXPORT_BY_TWOS(zoneout_rnn_adjoint_0)
HG_EXPORT(zoneout_rnn_adjoint_1)
