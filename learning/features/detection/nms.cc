// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/nms.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "common/error.h"
#include "learning/features/detection/boxes.h"
#include "learning/features/detection/nms_kernel.h"

namespace hemafed::learning {

namespace {

void RequireShapes(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups, std::int64_t most) {
  RequireBoxes(boxes, "boxes to suppress");
  const bool fits = scores.dim() == 1 && scores.size(0) == boxes.size(0) &&
                    (!groups.defined() || (groups.dim() == 1 && groups.size(0) == boxes.size(0)));
  if (!fits || most < 0) {
    throw Error(ErrorCode::kInvalidInput, "suppression needs one score and one group a box, and a limit from 0 up");
  }
}

at::Tensor Order(const at::Tensor& scores) {
  return std::get<1>(at::sort(scores, /*stable=*/true, /*dim=*/0, /*descending=*/true));
}

std::vector<float> Column(const at::Tensor& boxes, std::int64_t column) {
  const at::Tensor values = boxes.select(1, column).contiguous();
  const float* begin = values.const_data_ptr<float>();
  return {begin, begin + values.size(0)};
}

}  // namespace

at::Tensor SuppressOverlapsByTensors(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups,
                                     double overlap, std::int64_t most) {
  RequireShapes(boxes, scores, groups, most);
  const at::Tensor order = Order(scores);
  const at::Tensor sorted = boxes.index_select(0, order);
  at::Tensor hits = at::triu(IouMatrix(sorted, sorted) > overlap, 1);  // hits[i, j]: i removes j if i stays
  if (groups.defined()) {
    const at::Tensor group = groups.index_select(0, order);
    hits = hits & (group.unsqueeze(1) == group.unsqueeze(0));
  }
  // A box stays if nothing that stays hits it. Starting from all, the first k boxes are right after k steps at the
  // latest, mostly after a few; nothing changes any more once all are.
  at::Tensor stays = at::ones({boxes.size(0)}, boxes.options().dtype(at::kBool));
  while (true) {
    const at::Tensor next = (hits & stays.unsqueeze(1)).any(0).logical_not();
    if (at::equal(next, stays)) break;
    stays = next;
  }
  return order.index_select(0, at::nonzero(stays).squeeze(1)).slice(0, 0, std::min(most, boxes.size(0)));
}

at::Tensor SuppressOverlaps(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups, double overlap,
                            std::int64_t most) {
  if (!boxes.is_cpu() || boxes.scalar_type() != at::kFloat) {
    return SuppressOverlapsByTensors(boxes, scores, groups, overlap, most);
  }
  RequireShapes(boxes, scores, groups, most);
  const at::Tensor order = Order(scores);
  const at::Tensor sorted = boxes.index_select(0, order);
  SortedBoxes columns{Column(sorted, 0), Column(sorted, 1), Column(sorted, 2), Column(sorted, 3), {}};
  columns.groups.assign(columns.size(), 0);
  if (groups.defined()) {
    const at::Tensor group = groups.to(at::kLong).index_select(0, order).contiguous();
    const std::int64_t* values = group.const_data_ptr<std::int64_t>();
    columns.groups.assign(values, values + group.size(0));
  }
  const std::vector<std::size_t> kept = KeepBest(columns, static_cast<float>(overlap), static_cast<std::size_t>(most));
  at::Tensor places = at::empty({static_cast<std::int64_t>(kept.size())}, at::kLong);
  std::transform(kept.begin(), kept.end(), places.mutable_data_ptr<std::int64_t>(),
                 [](std::size_t place) { return static_cast<std::int64_t>(place); });
  return order.index_select(0, places);
}

}  // namespace hemafed::learning
