// site_agent/trainer/jobs.h
// SPDX-License-Identifier: Apache-2.0
//
// The kinds of jobs (docs/job_folder.md), each in a file of its own. A job returns its report's body, one of
// codec/reports.h, codec/drift_report.h and codec/exchange.h or an evaluation report, and leaves what belongs to it in
// context.work.
//
//   commit    counts of the pictures, or of the exemplars, that the task will train with
//   train     S steps from the base model (learning/continual/local_training.h) on the plan's loss (step_loss.h), then
//             q = round_half_even((theta_local - theta_base + residual) 2^22) into update.hfu (codec/update.h)
//   select    exemplars by herding and MC-dropout uncertainty into the vault
//   evaluate  confusion matrix on the test pictures, score histograms into scores.hfh (codec/score_histograms.h)
//   sum       integer sums of the random features of the task's pictures into sums.hfs (codec/feature_sums.h)
//   fisher    roots of the Fisher information of the task's pictures into fisher.hfu (codec/fisher.h)
//   means     class means of this site's own exemplars into means.hfu (codec/prototype_head.h)
//   moments   moments of the latents of the training pictures' cells into moments.hfl (codec/latent_moments.h)
//   drift     comparison of the training pictures' latents with other hospitals' moments (learning/features/latent/)
//   judge     agreement of a round's candidate with the task's teacher on held-out pictures
//   agree     the public half of the trainer's key (exchange_key.h)
//   seal      the task's exemplars, encrypted to a later site's key, into bundle.hfx (codec/sealed_bundle.h)
//   receive   a bundle's pictures into the vault (received_pictures.h)
//   remove    pictures that their giver has withdrawn, out of it
//
// Errors: kUnavailable (the lab's people have not agreed that pictures travel), kInvalidInput, kCorrupt, kNoSpace,
// kInterrupted and those of learning/. Thread-safety: free functions.
#pragma once

#include <nlohmann/json.hpp>

#include "site_agent/trainer/job_context.h"

namespace hemafed::trainer {

[[nodiscard]] nlohmann::json RunCommitJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunTrainingJob(const JobContext& context);
// The same where what is trained is an autoencoder (autoencoder_jobs.cc): on cells instead of pictures.
[[nodiscard]] nlohmann::json RunCellCommitJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunCellTrainingJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunMomentsJob(const JobContext& context);
// The same of pictures under [drift] (latent_jobs.cc), and the comparison before it.
[[nodiscard]] nlohmann::json RunLatentMomentsJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunDriftJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunSelectionJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunSumJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunFisherJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunMeansJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunEvaluationJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunJudgementJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunAgreeJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunSealJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunReceiveJob(const JobContext& context);
[[nodiscard]] nlohmann::json RunRemoveJob(const JobContext& context);

}  // namespace hemafed::trainer
