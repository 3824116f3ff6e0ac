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
struct Padded {
  Padded(const DepthwiseShape& s)
      : height((s.out_height - 1) * s.stride + s.kernel),
        width((s.out_width - 1) * s.stride + s.kernel),
        rows(std::min(s.in_height, height - s.top)),
        columns(std::min(s.in_width, width - s.left)),
        values(static_cast<std::size_t>(height * width * kDepthwiseLanes)) {}

  [[nodiscard]] float* At(std::int64_t row, std::int64_t column) {
    return values.data() + (row * width + column) * kDepthwiseLanes;
  }

  std::int64_t height, width;
  std::int64_t rows, columns;  // of the input that some output looks at
  std::vector<float> values;
};

[[gnu::always_inline]] inline void CopyIn(const DepthwiseShape& s, const float* x, Padded& padded) {
  for (std::int64_t row = 0; row < padded.rows; ++row) {
    float* to = padded.At(row + s.top, s.left);
    const float* from = x + row * s.in_width * s.channels;
    for (std::int64_t column = 0; column < padded.columns; ++column) {
      std::memcpy(to + column * kDepthwiseLanes, from + column * s.channels, sizeof(Lanes));
    }
  }
}

template <int K, int S>
[[gnu::always_inline]] inline void Forward(const DepthwiseShape& s, const float* x, const float* w, const float* bias,
                                           bool relu6, float* y) {
  constexpr int kPixels = 4;  // Outputs of one row computed together, so that a weight is loaded once for all.
  Padded padded(s);
  for (std::int64_t c = 0; c < s.channels; c += kDepthwiseLanes) {
    CopyIn(s, x + c, padded);
    Lanes start;
    Load(bias + c, start);
    const auto finish = [&](Lanes& sum, std::int64_t p, std::int64_t q) {
      if (relu6) {  // Written so that NaN stays NaN: a diverged training must be seen.
        sum = sum < 0.0f ? Lanes{} : sum;
        sum = sum > 6.0f ? Lanes{} + 6.0f : sum;
      }
      Store(sum, y + (p * s.out_width + q) * s.channels + c);
    };
    for (std::int64_t p = 0; p < s.out_height; ++p) {
      std::int64_t q = 0;
      for (; q + kPixels <= s.out_width; q += kPixels) {
        Lanes sum[kPixels];
        for (int pixel = 0; pixel < kPixels; ++pixel) sum[pixel] = start;
        for (int i = 0; i < K; ++i) {
          const float* row = padded.At(p * S + i, q * S);
          for (int j = 0; j < K; ++j) {
            Lanes weight;
            Load(w + (i * K + j) * s.channels + c, weight);
            for (int pixel = 0; pixel < kPixels; ++pixel) {
              Lanes value;
              Load(row + (pixel * S + j) * kDepthwiseLanes, value);
              sum[pixel] += value * weight;
            }
          }
        }
        for (int pixel = 0; pixel < kPixels; ++pixel) finish(sum[pixel], p, q + pixel);
      }
      for (; q < s.out_width; ++q) {
        Lanes sum = start;
        for (int i = 0; i < K; ++i) {
          const float* row = padded.At(p * S + i, q * S);
          for (int j = 0; j < K; ++j) {
            Lanes weight;
            Lanes value;
            Load(w + (i * K + j) * s.channels + c, weight);
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
[[gnu::always_inline]] inline void BackwardInput(const DepthwiseShape& s, const float* dy, const float* w, float* dx) {
  Padded padded(s);
  for (std::int64_t c = 0; c < s.channels; c += kDepthwiseLanes) {
    std::fill(padded.values.begin(), padded.values.end(), 0.0f);
    for (std::int64_t p = 0; p < s.out_height; ++p) {
      for (std::int64_t q = 0; q < s.out_width; ++q) {
        Lanes gradient;
        Load(dy + (p * s.out_width + q) * s.channels + c, gradient);
        for (int i = 0; i < K; ++i) {
          float* row = padded.At(p * S + i, q * S);
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
    for (std::int64_t row = 0; row < s.in_height; ++row) {
      for (std::int64_t column = 0; column < s.in_width; ++column) {
        float* to = dx + (row * s.in_width + column) * s.channels + c;
        if (row < padded.rows && column < padded.columns) {
          std::memcpy(to, padded.At(row + s.top, column + s.left), sizeof(Lanes));
        } else {
          std::memset(to, 0, sizeof(Lanes));  // No output looks at this pixel.
        }
      }
    }
  }
}

template <int K, int S>
[[gnu::always_inline]] inline void BackwardWeight(const DepthwiseShape& s, const float* x, const float* dy, float* dw,
                                                  float* dbias) {
  Padded padded(s);
  for (std::int64_t c = 0; c < s.channels; c += kDepthwiseLanes) {
    CopyIn(s, x + c, padded);
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
          for (int j = 0; j < K; ++j) {
            Lanes value;
            Load(row + (q * S + j) * kDepthwiseLanes, value);
            sum[j] += gradient * value;
          }
        }
      }
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
                      float* y) {
  if (shape.kernel == 3 && shape.stride == 1) Forward<3, 1>(shape, x, w, bias, relu6, y);
  if (shape.kernel == 3 && shape.stride == 2) Forward<3, 2>(shape, x, w, bias, relu6, y);
  if (shape.kernel == 5 && shape.stride == 1) Forward<5, 1>(shape, x, w, bias, relu6, y);
  if (shape.kernel == 5 && shape.stride == 2) Forward<5, 2>(shape, x, w, bias, relu6, y);
}

HEMAFED_EACH_INSTRUCTION_SET
void DepthwiseBackwardInput(const DepthwiseShape& shape, const float* dy, const float* w, float* dx) {
  if (shape.kernel == 3 && shape.stride == 1) BackwardInput<3, 1>(shape, dy, w, dx);
  if (shape.kernel == 3 && shape.stride == 2) BackwardInput<3, 2>(shape, dy, w, dx);
  if (shape.kernel == 5 && shape.stride == 1) BackwardInput<5, 1>(shape, dy, w, dx);
  if (shape.kernel == 5 && shape.stride == 2) BackwardInput<5, 2>(shape, dy, w, dx);
}

HEMAFED_EACH_INSTRUCTION_SET
void DepthwiseBackwardWeight(const DepthwiseShape& shape, const float* x, const float* dy, float* dw, float* dbias) {
  if (shape.kernel == 3 && shape.stride == 1) BackwardWeight<3, 1>(shape, x, dy, dw, dbias);
  if (shape.kernel == 3 && shape.stride == 2) BackwardWeight<3, 2>(shape, x, dy, dw, dbias);
  if (shape.kernel == 5 && shape.stride == 1) BackwardWeight<5, 1>(shape, x, dy, dw, dbias);
  if (shape.kernel == 5 && shape.stride == 2) BackwardWeight<5, 2>(shape, x, dy, dw, dbias);
}

}  // namespace hemafed::learning
