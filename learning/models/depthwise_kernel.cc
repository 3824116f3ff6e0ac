// SPDX-License-Identifier: Apache-2.0
#include "learning/models/depthwise_kernel.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace hemafed::learning {

namespace {

// Sixteen floats; the compiler maps them to one, two or four registers of the processor at hand.
using Lanes = float __attribute__((vector_size(kDepthwiseLanes * sizeof(float))));

// By reference: returning a vector type would tie the calling convention to the instruction set.
[[gnu::always_inline]] inline void Load(const float* from, Lanes& to) { std::memcpy(&to, from, sizeof to); }
[[gnu::always_inline]] inline void Store(const Lanes& from, float* to) { std::memcpy(to, &from, sizeof from); }

// One tile of a picture with its zero border, contiguous: no pixel of the loops below needs a test for the border.
class Padded {
 public:
  Padded(const DepthwiseShape& s, std::vector<float>& scratch)
      : shape_(s),
        width_((s.out_width - 1) * s.stride + s.kernel),
        rows_(std::min(s.in_height, Height(s) - s.top)),
        columns_(std::min(s.in_width, width_ - s.left)) {
    scratch.assign(static_cast<std::size_t>(Height(s) * width_ * kDepthwiseLanes), 0.0f);
    values_ = scratch.data();
  }

  [[nodiscard]] float* At(std::int64_t row, std::int64_t column) {
    return values_ + (row * width_ + column) * kDepthwiseLanes;
  }

  // The tile of `x` that starts at its channel; the border stays zero.
  void CopyIn(const float* x) {
    for (std::int64_t row = 0; row < rows_; ++row) {
      float* to = At(row + shape_.top, shape_.left);
      const float* from = x + row * shape_.in_width * shape_.channels;
      for (std::int64_t column = 0; column < columns_; ++column) {
        std::memcpy(to + column * kDepthwiseLanes, from + column * shape_.channels, sizeof(Lanes));
      }
    }
  }

  void CopyOut(float* x) {
    for (std::int64_t row = 0; row < shape_.in_height; ++row) {
      for (std::int64_t column = 0; column < shape_.in_width; ++column) {
        float* to = x + (row * shape_.in_width + column) * shape_.channels;
        if (row < rows_ && column < columns_) {
          std::memcpy(to, At(row + shape_.top, column + shape_.left), sizeof(Lanes));
        } else {
          std::memset(to, 0, sizeof(Lanes));  // No output looks at this pixel.
        }
      }
    }
  }

  void Clear() { std::fill_n(values_, Height(shape_) * width_ * kDepthwiseLanes, 0.0f); }

 private:
  static std::int64_t Height(const DepthwiseShape& s) { return (s.out_height - 1) * s.stride + s.kernel; }

  const DepthwiseShape& shape_;
  std::int64_t width_;
  std::int64_t rows_, columns_;  // of the input that some output looks at
  float* values_;
};

// What the convolution below does beside multiplying and adding.
struct ForwardOptions {
  const float* bias;  // may be null: zeros
  bool relu6;
};

// kFlipped: with the kernel turned by half a turn, as the gradient of a convolution with stride 1 needs it.
template <int K, int S, bool kFlipped>
[[gnu::always_inline]] inline void Forward(const DepthwiseShape& s, const float* x, const float* w,
                                           const ForwardOptions& options, float* y, std::vector<float>& scratch) {
  constexpr int kPixels = 4;  // Outputs of one row computed together, so that a weight is loaded once for all.
  Padded padded(s, scratch);
  for (std::int64_t c = 0; c < s.channels; c += kDepthwiseLanes) {
    padded.CopyIn(x + c);
    Lanes start{};
    if (options.bias != nullptr) Load(options.bias + c, start);
    const auto load_weight = [&](int i, int j, Lanes& weight) {
      Load(w + (kFlipped ? K * K - 1 - (i * K + j) : i * K + j) * s.channels + c, weight);
    };
    const auto finish = [&](Lanes& sum, std::int64_t p, std::int64_t q) {
      if (options.relu6) {  // Written so that NaN stays NaN: a diverged training must be seen.
        sum = sum < 0.0f ? Lanes{} : sum;
        sum = sum > 6.0f ? Lanes{} + 6.0f : sum;
      }
      Store(sum, y + (p * s.out_width + q) * s.channels + c);
    };
    for (std::int64_t p = 0; p < s.out_height; ++p) {
      std::int64_t q = 0;
      // Unrolled, so that the sums stay in registers; the optimiser does not do it by itself at -O2.
      for (; q + kPixels <= s.out_width; q += kPixels) {
        Lanes sum[kPixels];
#pragma GCC unroll 4
        for (int pixel = 0; pixel < kPixels; ++pixel) sum[pixel] = start;
        for (int i = 0; i < K; ++i) {
          const float* row = padded.At(p * S + i, q * S);
#pragma GCC unroll 5
          for (int j = 0; j < K; ++j) {
            Lanes weight;
            load_weight(i, j, weight);
#pragma GCC unroll 4
            for (int pixel = 0; pixel < kPixels; ++pixel) {
              Lanes value;
              Load(row + (pixel * S + j) * kDepthwiseLanes, value);
              sum[pixel] += value * weight;
            }
          }
        }
#pragma GCC unroll 4
        for (int pixel = 0; pixel < kPixels; ++pixel) finish(sum[pixel], p, q + pixel);
      }
      for (; q < s.out_width; ++q) {
        Lanes sum = start;
        for (int i = 0; i < K; ++i) {
          const float* row = padded.At(p * S + i, q * S);
#pragma GCC unroll 5
          for (int j = 0; j < K; ++j) {
            Lanes weight;
            Lanes value;
            load_weight(i, j, weight);
            Load(row + j * kDepthwiseLanes, value);
            sum += value * weight;
          }
        }
        finish(sum, p, q);
      }
    }
  }
}

template <int K, int S>
[[gnu::always_inline]] inline void BackwardInput(const DepthwiseShape& s, const float* dy, const float* w, float* dx,
                                                 std::vector<float>& scratch) {
  if constexpr (S == 1) {
    // A convolution of dy, with as many zeros before it as the window of the first output reached beyond the input.
    const DepthwiseShape turned{s.channels, s.out_height,  s.out_width,   s.in_height, s.in_width, K,
                                1,          K - 1 - s.top, K - 1 - s.left};
    Forward<K, 1, true>(turned, dy, w, {nullptr, false}, dx, scratch);
    return;
  }
  Padded padded(s, scratch);
  for (std::int64_t c = 0; c < s.channels; c += kDepthwiseLanes) {
    padded.Clear();
    for (std::int64_t p = 0; p < s.out_height; ++p) {
      for (std::int64_t q = 0; q < s.out_width; ++q) {
        Lanes gradient;
        Load(dy + (p * s.out_width + q) * s.channels + c, gradient);
        for (int i = 0; i < K; ++i) {
          float* row = padded.At(p * S + i, q * S);
#pragma GCC unroll 5
          for (int j = 0; j < K; ++j) {
            Lanes weight;
            Lanes sum;
            Load(w + (i * K + j) * s.channels + c, weight);
            Load(row + j * kDepthwiseLanes, sum);
            sum += gradient * weight;
            Store(sum, row + j * kDepthwiseLanes);
          }
        }
      }
    }
    padded.CopyOut(dx + c);
  }
}

template <int K, int S>
[[gnu::always_inline]] inline void BackwardWeight(const DepthwiseShape& s, const float* x, const float* dy, float* dw,
                                                  float* dbias, std::vector<float>& scratch) {
  Padded padded(s, scratch);
  for (std::int64_t c = 0; c < s.channels; c += kDepthwiseLanes) {
    padded.CopyIn(x + c);
    Lanes total{};
    for (int i = 0; i < K; ++i) {
      Lanes sum[K] = {};
      for (std::int64_t p = 0; p < s.out_height; ++p) {
        const float* row = padded.At(p * S + i, 0);
        const float* gradients = dy + p * s.out_width * s.channels + c;
        for (std::int64_t q = 0; q < s.out_width; ++q) {
          Lanes gradient;
          Load(gradients + q * s.channels, gradient);
          if (i == 0) total += gradient;
#pragma GCC unroll 5
          for (int j = 0; j < K; ++j) {
            Lanes value;
            Load(row + (q * S + j) * kDepthwiseLanes, value);
            sum[j] += gradient * value;
          }
        }
      }
#pragma GCC unroll 5
      for (int j = 0; j < K; ++j) Store(sum[j], dw + (i * K + j) * s.channels + c);
    }
    Store(total, dbias + c);
  }
}

// The functions below are compiled once for each of these instruction sets; the loader picks the best one present.
#if defined(__x86_64__)
#define HEMAFED_EACH_INSTRUCTION_SET [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define HEMAFED_EACH_INSTRUCTION_SET
#endif

}  // namespace

bool DepthwiseSupported(const DepthwiseShape& shape) {
  return shape.channels > 0 && shape.channels % kDepthwiseLanes == 0 && (shape.kernel == 3 || shape.kernel == 5) &&
         (shape.stride == 1 || shape.stride == 2) && shape.in_height > 0 && shape.in_width > 0 &&
         shape.out_height > 0 && shape.out_width > 0 && shape.top >= 0 && shape.top < shape.kernel && shape.left >= 0 &&
         shape.left < shape.kernel;
}

HEMAFED_EACH_INSTRUCTION_SET
void DepthwiseForward(const DepthwiseShape& shape, const float* x, const float* w, const float* bias, bool relu6,
                      float* y, std::vector<float>& scratch) {
  const ForwardOptions options{bias, relu6};
  if (shape.kernel == 3 && shape.stride == 1) Forward<3, 1, false>(shape, x, w, options, y, scratch);
  if (shape.kernel == 3 && shape.stride == 2) Forward<3, 2, false>(shape, x, w, options, y, scratch);
  if (shape.kernel == 5 && shape.stride == 1) Forward<5, 1, false>(shape, x, w, options, y, scratch);
  if (shape.kernel == 5 && shape.stride == 2) Forward<5, 2, false>(shape, x, w, options, y, scratch);
}

HEMAFED_EACH_INSTRUCTION_SET
void DepthwiseBackwardInput(const DepthwiseShape& shape, const float* dy, const float* w, float* dx,
                            std::vector<float>& scratch) {
  if (shape.kernel == 3 && shape.stride == 1) BackwardInput<3, 1>(shape, dy, w, dx, scratch);
  if (shape.kernel == 3 && shape.stride == 2) BackwardInput<3, 2>(shape, dy, w, dx, scratch);
  if (shape.kernel == 5 && shape.stride == 1) BackwardInput<5, 1>(shape, dy, w, dx, scratch);
  if (shape.kernel == 5 && shape.stride == 2) BackwardInput<5, 2>(shape, dy, w, dx, scratch);
}

HEMAFED_EACH_INSTRUCTION_SET
void DepthwiseBackwardWeight(const DepthwiseShape& shape, const float* x, const float* dy, float* dw, float* dbias,
                             std::vector<float>& scratch) {
  if (shape.kernel == 3 && shape.stride == 1) BackwardWeight<3, 1>(shape, x, dy, dw, dbias, scratch);
  if (shape.kernel == 3 && shape.stride == 2) BackwardWeight<3, 2>(shape, x, dy, dw, dbias, scratch);
  if (shape.kernel == 5 && shape.stride == 1) BackwardWeight<5, 1>(shape, x, dy, dw, dbias, scratch);
  if (shape.kernel == 5 && shape.stride == 2) BackwardWeight<5, 2>(shape, x, dy, dw, dbias, scratch);
}

}  // namespace hemafed::learning
