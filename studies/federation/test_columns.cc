// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/test_columns.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/error.h"

namespace hemafed::studies {

namespace {

// As the trainer evaluates: the last bits of a logit may depend on how many pictures are in a batch.
constexpr std::size_t kBatch = 32;

bool Wanted(const ListedSite& site, const std::string& file) {
  return std::none_of(site.without.begin(), site.without.end(),
                      [&](const std::string& part) { return file.find(part) != std::string::npos; });
}

TestColumnOfSite MakeColumn(const Plan& plan, const ListedSite& site, std::string title, PictureShelf& shelf) {
  TestColumnOfSite column{.title = std::move(title),
                          .site = site.settings.site,
                          .pictures = shelf.Open(site.settings, plan),
                          .positions = {},
                          .truth = {}};
  const learning::DomainPictures& domain = column.pictures->domain();
  std::vector<std::uint32_t> positions = domain.Positions(learning::DomainPart::kTest);
  if (site.scores_all) {
    const auto training = domain.Positions(learning::DomainPart::kTrain);
    positions.insert(positions.end(), training.begin(), training.end());
    std::sort(positions.begin(), positions.end());
  }
  for (const std::uint32_t position : positions) {
    if (!Wanted(site, domain.index().pictures[position].file)) continue;
    column.positions.push_back(position);
    column.truth.push_back(domain.Label(position));
  }
  if (column.positions.empty()) {
    throw Error(ErrorCode::kInvalidInput, column.title + " has no picture to score; check its split and label map");
  }
  return column;
}

}  // namespace

TestSet TestColumnOfSite::Describe() const {
  TestSet set{.title = title, .files = {}, .groups = {}};
  for (const std::uint32_t position : positions) {
    const learning::PictureEntry& picture = pictures->domain().index().pictures[position];
    set.files.push_back(picture.file);
    set.groups.push_back(picture.group);
  }
  return set;
}

std::vector<TestColumnOfSite> ColumnsOf(const Plan& plan, const SiteList& list, PictureShelf& shelf) {
  std::vector<TestColumnOfSite> columns;
  for (const TaskPlan& task : plan.tasks) columns.push_back(MakeColumn(plan, list.At(task.site), task.site, shelf));
  for (const std::string& site : list.Unseen(plan)) {
    columns.push_back(MakeColumn(plan, list.At(site), site + " (unseen)", shelf));
  }
  return columns;
}

ModelAnswers Answer(const learning::Classifier& model, const TestColumnOfSite& column,
                    const std::function<void(std::uint64_t)>& on_pictures) {
  ModelAnswers answers;
  const auto source = column.pictures->domain().Batches(column.positions);
  const at::NoGradGuard no_gradients;
  for (std::size_t first = 0; first < source->Size(); first += kBatch) {
    std::vector<std::uint32_t> indices(std::min(kBatch, source->Size() - first));
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
    const at::Tensor logits = model.Forward(source->Get(indices, std::nullopt).images).to(at::kDouble).contiguous();
    const at::Tensor scores = logits.softmax(1).contiguous();
    const auto classes = static_cast<std::size_t>(logits.size(1));
    const double* logit = logits.const_data_ptr<double>();
    const double* score = scores.const_data_ptr<double>();
    for (std::size_t i = 0; i < indices.size(); ++i, logit += classes, score += classes) {
      answers.predicted.push_back(std::max_element(logit, logit + classes) - logit);
      for (std::size_t c = 0; c < classes; ++c) answers.scores_millionths.push_back(std::llround(score[c] * 1e6));
    }
    if (on_pictures) on_pictures(first + indices.size());
  }
  return answers;
}

ConfusionMatrix Count(const TestColumnOfSite& column, const std::vector<std::int64_t>& predicted, std::size_t classes) {
  ConfusionMatrix matrix(classes);
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    matrix.Add(static_cast<std::size_t>(column.truth.at(i)), static_cast<std::size_t>(predicted[i]));
  }
  return matrix;
}

Digest DigestOf(const std::vector<TestColumnOfSite>& columns) {
  std::string all;
  for (const TestColumnOfSite& column : columns) {
    all += column.title + "\n";
    const auto& pictures = column.pictures->domain().index().pictures;
    for (std::size_t i = 0; i < column.positions.size(); ++i) {
      all += pictures[column.positions[i]].digest.Hex() + " " + std::to_string(column.truth[i]) + "\n";
    }
  }
  return Sha256Of(all);
}

}  // namespace hemafed::studies
