// SPDX-License-Identifier: Apache-2.0
#include "codec/evaluation.h"
#include "codec/reports.h"
#include "codec/score_histograms.h"
#include "common/error.h"
#include "common/random.h"
#include "learning/continual/distillation_probe.h"
#include "learning/continual/evaluate.h"
#include "site_agent/trainer/jobs.h"
#include "site_agent/trainer/rounded_features.h"
#include "site_agent/trainer/stored_exemplars.h"

namespace hemafed::trainer {

using nlohmann::json;

json RunEvaluationJob(const JobContext& context) {
  const Plan& plan = context.plan;
  const std::vector<ClassSet> pools = plan.PoolsOf(context.job.site);
  ClassSet tested;
  for (const ClassSet& pool : pools) tested.insert(tested.end(), pool.begin(), pool.end());
  const auto source = context.pictures().Test(tested);
  context.progress("evaluating", 0, source->Size(), 0);
  const auto classes = static_cast<std::uint32_t>(plan.classes.size());
  const auto on_pictures = [&](std::uint64_t done) { context.progress("evaluating", done, source->Size(), done); };
  ScoreTally scores(classes);
  const auto evaluate = [&] {
    if (!plan.SolvesHead()) {
      const learning::Classifier model = context.LoadModel(context.job.model);
      return learning::Evaluate(model, *source, classes, kInferenceBatch, on_pictures, &scores);
    }
    const learning::Classifier trunk = context.LoadModel(plan.model.weights);
    const AnalyticClassifier model(trunk, context.LoadHead());
    return learning::Evaluate([&](const at::Tensor& images) { return model.Scored(images); }, *source, classes,
                              kInferenceBatch, on_pictures, &scores);
  };
  const ConfusionMatrix matrix = evaluate();
  EvaluationReport report = EvaluationReport::Of(matrix, plan.min_pictures, pools);
  const ScoreHistograms histograms = ScoreHistograms::Of(scores, report, plan.min_pictures);
  if (!histograms.Empty()) {
    report.set_scores(WriteScoreHistograms(context.files, context.work / std::string(kScoresFileName), histograms));
  }
  return report.ToJson();
}

json RunJudgementJob(const JobContext& context) {
  const Job& job = context.job;
  const Plan& plan = context.plan;
  if (!job.teacher) throw Error(ErrorCode::kInvalidInput, job.Name() + ": names no teacher to compare with");
  ClassSet learned;
  for (std::uint32_t task = 0; task < job.task; ++task) {
    const TaskPlan& earlier = plan.tasks[task];
    if (earlier.site == job.site) learned.insert(learned.end(), earlier.classes.begin(), earlier.classes.end());
  }
  // The same pictures in every round of the task, or fewer of them.
  const auto source = context.pictures().HeldOut(
      learned, StoredExemplars(context.files, context.folder.Vault(), job.plan), plan.retention.pictures,
      DeriveSeed(plan.seed, "retention of task " + std::to_string(job.task) + " at " + job.site));
  if (source->Size() < plan.min_pictures) return JudgementReport{}.ToJson();
  const learning::Classifier candidate = context.LoadModel(job.model);
  const learning::Classifier teacher = context.LoadModel(*job.teacher);
  const std::string phase = "judging the merged model";
  context.progress(phase, 0, source->Size(), 0);
  const std::uint64_t agrees =
      learning::CountAgreements(candidate, teacher, *source, kInferenceBatch,
                                [&](std::uint64_t done) { context.progress(phase, done, source->Size(), done); });
  return JudgementReport{.pictures = source->Size(), .agrees = agrees}.ToJson();
}

}  // namespace hemafed::trainer
