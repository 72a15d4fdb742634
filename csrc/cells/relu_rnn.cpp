// RNN(nonlinearity='relu'): printed from its equations by headgate.graph.cpp. Change the equations, not this file.
#include "step.h"

namespace headgate {
namespace {

template <class V>
void relu_rnn_forward_0(const hg_tile& tile) {
  HG_PASS(tile, 2, 1) {
    HG_UNITS {
      const V x_h = HG_READ(0);
      const V U_h = HG_READ(1);
      const V v0 = x_h + U_h;
      const V new_h = relu(v0);
      HG_STORE(0, new_h);
    }
  }
}

template <class V>
void relu_rnn_backward_0(const hg_tile& tile) {
  HG_PASS(tile, 3, 1) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V dy_h = HG_READ(1);
      const V new_h = HG_READ(2);
      const V v0 = d_h + dy_h;
      const V v1 = positive(new_h);
      const V v2 = v0 * v1;
      HG_STORE(0, v2);
    }
  }
}

template <class V>
void relu_rnn_backward_1(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dv_0 = HG_READ(0);
      HG_STORE(0, dv_0);
    }
  }
}

template <class V>
void relu_rnn_adjoint_0(const hg_tile& tile) {
  HG_PASS(tile, 2, 2) {
    HG_UNITS {
      const V d_h = HG_READ(0);
      const V new_h = HG_READ(1);
      const V v0 = positive(new_h);
      const V v1 = d_h * v0;
      HG_STORE(0, v1);
      HG_STORE(1, d_h);
    }
  }
}

template <class V>
void relu_rnn_adjoint_1(const hg_tile& tile) {
  HG_PASS(tile, 1, 1) {
    HG_UNITS {
      const V dw_0 = HG_READ(0);
      HG_STORE(0, dw_0);
    }
  }
}

}  // namespace
}  // namespace headgate

HG_EXPORT(relu_rnn_forward_0)
HG_EXPORT(relu_rnn_backward_0)
HG_EXPORT(relu_rnn_backward_1)
HG_EXPORT(relu_rnn_adjoint_0)
HG_EXPORT(relu_rnn_adjoint_1)
