// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/region_sampling.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <set>
#include <string>
#include <utility>

#include "common/error.h"
#include "learning/features/detection/boxes.h"
#include "learning/features/detection/region_kernel.h"

namespace hemafed::learning {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Most samples of a bin along an axis where the box decides: a box of 14 x 256 places, more than any frame has.
constexpr std::int64_t kMaxSamples = 256;
// Channels that one thread works on in the backward pass.
constexpr std::int64_t kChannelsAtATime = 32;

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

void RequireShapes(const at::Tensor& features, const at::Tensor& boxes, const at::Tensor& pictures) {
  RequireBoxes(boxes, "boxes of regions");
  if (features.dim() != 4 || features.numel() == 0) Fail("regions need feature maps [N, C, H, W]");
  if (pictures.dim() != 1 || pictures.size(0) != boxes.size(0) || pictures.scalar_type() != at::kLong) {
    Fail("regions need the picture of each box as an int64 vector");
  }
}

void RequirePictures(const at::Tensor& features, const at::Tensor& pictures) {
  if (pictures.size(0) == 0) return;
  if (pictures.min().item<std::int64_t>() < 0 || pictures.max().item<std::int64_t>() >= features.size(0)) {
    Fail("a region names a picture that is not in the batch");
  }
}

at::Tensor EmptyRegions(const at::Tensor& features, std::int64_t boxes, std::int64_t side) {
  return at::empty({boxes, features.size(1), side, side}, features.options(), at::MemoryFormat::ChannelsLast);
}

RegionShape ShapeOf(at::IntArrayRef features, std::int64_t side) {
  return {features[2], features[3], features[1], side};
}

AxisTaps TapsOf(const at::Tensor& positions, std::int64_t side, std::int64_t length) {
  const at::Tensor plain = positions.contiguous();
  return MakeTaps(plain.const_data_ptr<float>(), plain.size(0), side, plain.size(1) / side, length);
}

class OwnKernel : public torch::autograd::Function<OwnKernel> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& features, const at::Tensor& pictures,
                            const at::Tensor& rows, const at::Tensor& columns, std::int64_t side) {
    const at::Tensor maps = features.contiguous(at::MemoryFormat::ChannelsLast);
    const RegionShape shape = ShapeOf(maps.sizes(), side);
    const AxisTaps row_taps = TapsOf(rows, side, shape.height);
    const AxisTaps column_taps = TapsOf(columns, side, shape.width);
    at::Tensor regions = EmptyRegions(maps, pictures.size(0), side);
    const float* x = maps.const_data_ptr<float>();
    const std::int64_t* picture = pictures.const_data_ptr<std::int64_t>();
    float* y = regions.mutable_data_ptr<float>();
    const std::int64_t map_size = shape.height * shape.width * shape.channels;
    const std::int64_t region_size = side * side * shape.channels;
    at::parallel_for(0, pictures.size(0), 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t box = begin; box < end; ++box) {
        RegionForward(shape, row_taps, column_taps, box, x + picture[box] * map_size, y + box * region_size);
      }
    });
    context->save_for_backward({pictures, rows, columns});
    context->saved_data["side"] = side;
    context->saved_data["sizes"] = maps.sizes().vec();
    return regions;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& pictures = saved[0];
    const std::int64_t side = context->saved_data["side"].toInt();
    const std::vector<std::int64_t> sizes = context->saved_data["sizes"].toIntVector();
    const RegionShape shape = ShapeOf(sizes, side);
    const AxisTaps row_taps = TapsOf(saved[1], side, shape.height);
    const AxisTaps column_taps = TapsOf(saved[2], side, shape.width);
    const at::Tensor dregions = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor dmaps = at::empty(sizes, dregions.options(), at::MemoryFormat::ChannelsLast).zero_();
    const float* dy = dregions.const_data_ptr<float>();
    const std::int64_t* picture = pictures.const_data_ptr<std::int64_t>();
    float* dx = dmaps.mutable_data_ptr<float>();
    const std::int64_t map_size = shape.height * shape.width * shape.channels;
    const std::int64_t region_size = side * side * shape.channels;
    // Boxes overlap, channels do not: each thread adds all boxes, in their order, to channels of its own.
    const std::int64_t tiles = (shape.channels + kChannelsAtATime - 1) / kChannelsAtATime;
    at::parallel_for(0, tiles, 1, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t first = begin * kChannelsAtATime;
      const std::int64_t last = std::min(end * kChannelsAtATime, shape.channels);
      for (std::int64_t box = 0; box < pictures.size(0); ++box) {
        RegionBackward(shape, row_taps, column_taps, box, dy + box * region_size, dx + picture[box] * map_size, first,
                       last);
      }
    });
    return {dmaps, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

// Places 0..length-1 as the grid sampler counts them, from -1 to 1.
at::Tensor GridPlaces(const at::Tensor& places, std::int64_t length) {
  if (length == 1) return at::zeros_like(places);
  return places.clamp_min(0) * (2.0 / static_cast<double>(length - 1)) - 1.0;
}

at::Tensor ByGridSampler(const at::Tensor& features, const at::Tensor& pictures, const at::Tensor& rows,
                         const at::Tensor& columns, std::int64_t side) {
  const std::int64_t row_samples = rows.size(1) / side, column_samples = columns.size(1) / side;
  constexpr std::int64_t kBilinear = 0, kBorder = 1;
  at::Tensor regions = at::zeros({pictures.size(0), features.size(1), side, side}, features.options());
  for (std::int64_t n = 0; n < features.size(0); ++n) {
    const at::Tensor mine = at::nonzero(pictures == n).squeeze(1);
    const std::int64_t boxes = mine.size(0);
    if (boxes == 0) continue;
    const at::Tensor y = rows.index_select(0, mine).to(features.scalar_type());
    const at::Tensor x = columns.index_select(0, mine).to(features.scalar_type());
    const std::vector<std::int64_t> all = {boxes, y.size(1), x.size(1)};
    const at::Tensor grid_y = GridPlaces(y, features.size(2)).unsqueeze(2).expand(all);
    const at::Tensor grid_x = GridPlaces(x, features.size(3)).unsqueeze(1).expand(all);
    // One wide picture of all samples: [1, boxes * rows, columns, 2].
    const at::Tensor grid = at::stack({grid_x, grid_y}, 3).view({1, boxes * y.size(1), x.size(1), 2});
    const at::Tensor inside = ((y >= 0).unsqueeze(2) & (x >= 0).unsqueeze(1)).to(features.scalar_type());
    const at::Tensor samples =
        at::grid_sampler_2d(features.slice(0, n, n + 1), grid, kBilinear, kBorder, /*align_corners=*/true);
    const at::Tensor bins = (samples.view({features.size(1), boxes, y.size(1), x.size(1)}) * inside)
                                .view({features.size(1), boxes, side, row_samples, side, column_samples})
                                .mean({3, 5});
    regions = regions.index_copy(0, mine, bins.transpose(0, 1));
  }
  return regions;
}

// [R, side * samples] rows (or columns) of torchvision's rule. `low` and `high` [R] are the box's ends in the frame.
at::Tensor AlignedPlaces(const at::Tensor& low, const at::Tensor& high, std::int64_t side, std::int64_t samples,
                         const RoiAlignRule& rule, std::int64_t length) {
  const double offset = rule.aligned ? 0.5 : 0.0;
  const at::Tensor start = low * rule.scale - offset;
  at::Tensor extent = high * rule.scale - offset - start;
  if (!rule.aligned) extent = extent.clamp_min(1.0);
  const at::Tensor bin = extent / static_cast<double>(side);
  const auto count = [&](std::int64_t n) { return at::arange(n, low.options()); };
  const at::Tensor first = start.unsqueeze(1) + count(side).unsqueeze(0) * bin.unsqueeze(1);  // [R, side]
  const at::Tensor within =
      (count(samples) + 0.5).view({1, 1, -1}) * (bin / static_cast<double>(samples)).view({-1, 1, 1});
  const at::Tensor places = (first.unsqueeze(2) + within).view({low.size(0), side * samples});
  const at::Tensor outside = (places < -1.0) | (places > static_cast<double>(length));
  return places.clamp(0.0, static_cast<double>(length - 1)).masked_fill(outside, -1.0);
}

at::Tensor ResizedPlaces(const at::Tensor& low, const at::Tensor& high, std::int64_t side, std::int64_t length,
                         std::int64_t frame) {
  const double scale = frame > 1 ? static_cast<double>(length - 1) / static_cast<double>(frame - 1) : 0.0;
  const at::Tensor step = (high - 1.0 - low) * scale / static_cast<double>(side - 1);
  const at::Tensor places =
      (low * scale).unsqueeze(1) + at::arange(side, low.options()).unsqueeze(0) * step.unsqueeze(1);
  const auto last = static_cast<double>(length - 1);
  // A box that ends at the frame's end must not fall out of the map by a rounding error.
  const at::Tensor outside = (places < -1e-4) | (places > last + 1e-4);
  return places.clamp(0.0, last).masked_fill(outside, -1.0);
}

struct Ends {
  at::Tensor x0, y0, x1, y1;
};
Ends EndsOf(const at::Tensor& boxes) {
  const at::Tensor plain = boxes.detach();
  return {plain.select(1, 0), plain.select(1, 1), plain.select(1, 2), plain.select(1, 3)};
}

// Samples a bin along an axis that a box asks for itself.
at::Tensor OwnSamples(const at::Tensor& low, const at::Tensor& high, std::int64_t side, const RoiAlignRule& rule) {
  at::Tensor extent = (high - low) * rule.scale;
  if (!rule.aligned) extent = extent.clamp_min(1.0);
  return (extent / static_cast<double>(side)).ceil().clamp(0, kMaxSamples).to(at::kLong);
}

at::Tensor AlignSome(const at::Tensor& features, const at::Tensor& boxes, const at::Tensor& pictures, std::int64_t side,
                     const RoiAlignRule& rule, std::int64_t row_samples, std::int64_t column_samples) {
  const Ends ends = EndsOf(boxes);
  return SampleRegions(features, pictures, AlignedPlaces(ends.y0, ends.y1, side, row_samples, rule, features.size(2)),
                       AlignedPlaces(ends.x0, ends.x1, side, column_samples, rule, features.size(3)), side);
}

}  // namespace

at::Tensor SampleRegions(const at::Tensor& features, const at::Tensor& pictures, const at::Tensor& rows,
                         const at::Tensor& columns, std::int64_t side, bool own_kernel) {
  RequirePictures(features, pictures);
  if (rows.size(0) != pictures.size(0) || columns.size(0) != pictures.size(0) || rows.size(1) % side != 0 ||
      columns.size(1) % side != 0) {
    Fail("regions need rows and columns of each box, the same number in each bin");
  }
  const bool ours = own_kernel && features.is_cpu() && features.scalar_type() == at::kFloat;
  if (!ours) return ByGridSampler(features, pictures, rows, columns, side);
  return OwnKernel::apply(features, pictures.contiguous(), rows.to(at::kFloat), columns.to(at::kFloat), side);
}

at::Tensor RoiAlign(const at::Tensor& features, const at::Tensor& boxes, const at::Tensor& pictures, std::int64_t side,
                    const RoiAlignRule& rule) {
  RequireShapes(features, boxes, pictures);
  if (side < 1 || rule.samples < 0 || rule.samples > kMaxSamples || !(rule.scale > 0)) {
    Fail("RoiAlign needs a side of at least 1, a scale above 0 and 0 to 256 samples a bin");
  }
  if (rule.samples > 0) return AlignSome(features, boxes, pictures, side, rule, rule.samples, rule.samples);
  const Ends ends = EndsOf(boxes);
  const at::Tensor counts =
      at::stack({OwnSamples(ends.y0, ends.y1, side, rule), OwnSamples(ends.x0, ends.x1, side, rule)}, 1);
  const at::Tensor plain = counts.cpu();
  std::set<std::pair<std::int64_t, std::int64_t>> kinds;
  for (std::int64_t i = 0; i < plain.size(0); ++i) {
    kinds.emplace(plain[i][0].item<std::int64_t>(), plain[i][1].item<std::int64_t>());
  }
  at::Tensor regions = at::zeros({boxes.size(0), features.size(1), side, side}, features.options());
  for (const auto& [row_samples, column_samples] : kinds) {
    if (row_samples == 0 || column_samples == 0) continue;  // Aligned and without area: no sample, hence 0.
    const at::Tensor mine =
        at::nonzero((counts.select(1, 0) == row_samples) & (counts.select(1, 1) == column_samples)).squeeze(1);
    const at::Tensor some = AlignSome(features, boxes.index_select(0, mine), pictures.index_select(0, mine), side, rule,
                                      row_samples, column_samples);
    regions = regions.index_copy(0, mine, some);
  }
  return regions;
}

at::Tensor CropAndResize(const at::Tensor& features, const at::Tensor& boxes, const at::Tensor& pictures,
                         std::int64_t side, std::int64_t frame_height, std::int64_t frame_width) {
  RequireShapes(features, boxes, pictures);
  if (side < 2) Fail("CropAndResize needs a side of at least 2");
  const Ends ends = EndsOf(boxes);
  return SampleRegions(features, pictures, ResizedPlaces(ends.y0, ends.y1, side, features.size(2), frame_height),
                       ResizedPlaces(ends.x0, ends.x1, side, features.size(3), frame_width), side);
}

}  // namespace hemafed::learning
