// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/test_columns.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <span>

#include "common/error.h"

namespace hemafed::studies {

namespace {

// As the trainer evaluates: the last bits of a logit may depend on how many pictures are in a batch.
constexpr std::size_t kBatch = 32;

bool Wanted(const ListedSite& site, const std::string& file) {
  return std::none_of(site.without.begin(), site.without.end(),
                      [&](const std::string& part) { return file.find(part) != std::string::npos; });
}

// `classes`: those of the column; empty for all.
TestColumnOfSite MakeColumn(const Plan& plan, const ListedSite& site, const Column& of_plan, const ClassSet& classes,
                            PictureShelf& shelf) {
  TestColumnOfSite column{.title = of_plan.title,
                          .site = site.settings.site,
                          .pool = of_plan.pool,
                          .pictures = shelf.Open(site.settings, plan),
                          .positions = {},
                          .truth = {}};
  const learning::DomainPictures& domain = column.pictures->domain();
  const std::vector<std::int64_t> labels(classes.begin(), classes.end());
  std::vector<std::uint32_t> positions = domain.Positions(learning::DomainPart::kTest, labels);
  if (site.scores_all) {
    const auto training = domain.Positions(learning::DomainPart::kTrain, labels);
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

// Answers for one batch of pictures.
using AnswerBatch = std::function<ModelAnswers(const at::Tensor& images)>;

ModelAnswers AnswersOf(const learning::Classifier& model, const at::Tensor& images) {
  ModelAnswers answers;
  const at::Tensor logits = model.Forward(images).to(at::kDouble).contiguous();
  const at::Tensor scores = logits.softmax(1).contiguous();
  const auto classes = static_cast<std::size_t>(logits.size(1));
  const double* logit = logits.const_data_ptr<double>();
  const double* score = scores.const_data_ptr<double>();
  for (std::int64_t i = 0; i < logits.size(0); ++i, logit += classes, score += classes) {
    answers.predicted.push_back(std::max_element(logit, logit + classes) - logit);
    for (std::size_t c = 0; c < classes; ++c) answers.scores_millionths.push_back(std::llround(score[c] * 1e6));
  }
  return answers;
}

ModelAnswers AnswersOf(const trainer::AnalyticClassifier& model, const at::Tensor& images) {
  ModelAnswers answers;
  const std::vector<std::int64_t> scores = model.Scores(images);
  for (std::size_t at = 0; at < scores.size(); at += model.classes()) {
    const auto of_picture = std::span(scores).subspan(at, model.classes());
    answers.predicted.push_back(model.Best(of_picture));
    for (const std::int64_t score : of_picture) {
      answers.scores_millionths.push_back(std::llround(std::ldexp(static_cast<double>(score), -32) * 1e6));
    }
  }
  return answers;
}

ModelAnswers AnswerAll(const AnswerBatch& answer, learning::BatchSource& source,
                       const std::function<void()>& on_pictures) {
  ModelAnswers answers;
  const at::NoGradGuard no_gradients;
  for (std::size_t first = 0; first < source.Size(); first += kBatch) {
    on_pictures();
    std::vector<std::uint32_t> indices(std::min(kBatch, source.Size() - first));
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
    const ModelAnswers batch = answer(source.Get(indices, std::nullopt).images);
    answers.predicted.insert(answers.predicted.end(), batch.predicted.begin(), batch.predicted.end());
    answers.scores_millionths.insert(answers.scores_millionths.end(), batch.scores_millionths.begin(),
                                     batch.scores_millionths.end());
  }
  return answers;
}

std::vector<ModelAnswers> AnswerColumns(const AnswerBatch& answer, std::size_t classes,
                                        const std::vector<TestColumnOfSite>& columns,
                                        const std::function<void(const std::string& site)>& on_pictures) {
  std::vector<ModelAnswers> answers(columns.size());
  std::set<std::string> done;
  for (const TestColumnOfSite& first : columns) {
    if (!done.insert(first.site).second) continue;
    // Every column in which this picture stands.
    std::map<std::uint32_t, std::vector<std::size_t>> columns_of;
    for (std::size_t j = 0; j < columns.size(); ++j) {
      if (columns[j].site != first.site) continue;
      for (const std::uint32_t position : columns[j].positions) columns_of[position].push_back(j);
    }
    std::vector<std::uint32_t> positions;
    for (const auto& [position, of_it] : columns_of) positions.push_back(position);
    const ModelAnswers all = AnswerAll(answer, *first.pictures->At(positions), [&] { on_pictures(first.site); });
    for (std::size_t i = 0; i < positions.size(); ++i) {
      for (const std::size_t j : columns_of.at(positions[i])) {
        answers[j].predicted.push_back(all.predicted[i]);
        const auto scores = all.scores_millionths.begin() + static_cast<std::ptrdiff_t>(i * classes);
        answers[j].scores_millionths.insert(answers[j].scores_millionths.end(), scores,
                                            scores + static_cast<std::ptrdiff_t>(classes));
      }
    }
  }
  return answers;
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
  if (plan.Columns().empty()) return columns;  // Nobody scores its models, unseen hospitals neither.
  for (const Column& column : plan.Columns()) {
    columns.push_back(MakeColumn(plan, list.At(column.site), column, plan.PoolsOf(column.site).at(column.pool), shelf));
  }
  for (const std::string& site : list.Unseen(plan)) {
    columns.push_back(MakeColumn(plan, list.At(site), {.site = site, .title = site + " (unseen)"}, {}, shelf));
  }
  return columns;
}

std::vector<ModelAnswers> Answer(const learning::Classifier& model, const std::vector<TestColumnOfSite>& columns,
                                 const std::function<void(const std::string& site)>& on_pictures) {
  return AnswerColumns([&](const at::Tensor& images) { return AnswersOf(model, images); },
                       static_cast<std::size_t>(model.classes()), columns, on_pictures);
}

std::vector<ModelAnswers> Answer(const trainer::AnalyticClassifier& model, const std::vector<TestColumnOfSite>& columns,
                                 const std::function<void(const std::string& site)>& on_pictures) {
  return AnswerColumns([&](const at::Tensor& images) { return AnswersOf(model, images); }, model.classes(), columns,
                       on_pictures);
}

EvaluationReport ReportOf(const Plan& plan, const std::string& site, const std::vector<TestColumnOfSite>& columns,
                          const std::vector<ModelAnswers>& answers) {
  ConfusionMatrix matrix(plan.classes.size());
  for (std::size_t j = 0; j < columns.size(); ++j) {
    if (columns[j].site != site) continue;
    for (std::size_t i = 0; i < columns[j].truth.size(); ++i) {
      matrix.Add(static_cast<std::size_t>(columns[j].truth[i]), static_cast<std::size_t>(answers[j].predicted[i]));
    }
  }
  return EvaluationReport::Of(matrix, plan.min_pictures, plan.PoolsOf(site));
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
