// codec/job_folder.h
// SPDX-License-Identifier: Apache-2.0
//
// The only thing that agent and trainer share: a folder with a documented layout (docs/job_folder.md), so that any
// trainer which keeps the layout can be put in place.
//
//     jobs/objects/<sha256>        model files and canonical integers, written by the agent, named by content
//     jobs/plans/<sha256>.toml     the signed plan's text, likewise
//     jobs/todo/<job>.json         one job; appears complete, by rename
//     jobs/done/<job>/report.json  the result, with update.hfu for a training job, fisher.hfu, means.hfu, moments.hfl,
//                                  sums.hfs, scores.hfh and bundle.hfx for the job that makes them; the folder appears
//                                  by rename
//     jobs/progress.json           what the trainer is doing now; replaced by rename
//
// A job is a pure description: the same job, plan, models and pictures give the same result, so a trainer that died
// simply runs it again. Both sides treat everything the other wrote as foreign: bounded, validated, re-hashed.
//
// Errors: Error(kInvalidInput) names the file and field. Thread-safety: value types, free functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

inline constexpr std::size_t kMaxJobBytes =
    16 << 10;  // A job.json has about 600 bytes, 3,000 with a partner, 13,000 with 63 anchors or others' moments.
inline constexpr std::size_t kMaxReportBytes = 60'000;  // A report becomes one log entry (docs/round_log.md).
inline constexpr std::size_t kMaxProgressBytes = 4 << 10;

enum class JobKind : std::uint8_t {
  kCommit,    // Count the pictures that a task would train with.
  kTrain,     // S local steps from the base model; writes the update.
  kSelect,    // Choose exemplars with the task's final model and put them into the vault.
  kEvaluate,  // Confusion matrix of a model on this site's test pictures.
  kJudge,     // Agreement of a round's candidate with the teacher, for the retention gate.
  kSum,       // Sums of the random features of the task's pictures; writes them (strategy analytic).
  kAgree,     // Make the key that exemplars for this site are sealed to, and say its public half.
  kSeal,      // Seal the open task's exemplars to a later site's key; writes the bundle.
  kReceive,   // Open a bundle of an earlier site and put its pictures into the vault.
  kFisher,    // Fisher information of the task's pictures under its model; writes it (strategy ewc).
  kMeans,     // Class means of this site's exemplars under the task's model; writes them (strategy icarl).
  kRemove,    // Remove pictures of a bundle that their giver has withdrawn.
  kMoments,   // Moments of the latents of this site's cells under the round's base; writes them (strategy alignment).
              // Under a plan with [drift]: of the latents of its training pictures.
  kDrift,     // Compare those latents with the moments that other hospitals stated (docs/drift_check.md).
};

[[nodiscard]] std::string_view JobKindName(JobKind kind) noexcept;

// The other lab of a sealed exchange and what it signed, as texts of log entries: the trainer relies on the signatures,
// not on who handed it the job (protocol/federation/partner_word.h).
struct JobPartner {
  std::string site;
  std::string lab;        // Its roster entry, signed by the operator.
  std::string statement;  // Its agreement, for sealing; what it said of the bundle, for receiving and removing.
  bool operator==(const JobPartner&) const = default;
};
// Bytes of each of the two texts: an agreement with 63 partners has about 4,000.
inline constexpr std::size_t kMaxPartnerTextBytes = 6'000;

// A model that a task ended with, which training is held to or compared with.
struct JobAnchor {
  std::uint32_t task = 0;
  Digest model;
  std::optional<Digest> fisher;  // Its Fisher information in canonical form, under strategy ewc.
  bool operator==(const JobAnchor&) const = default;
};

// Moments that another hospital stated in this round.
struct JobMoments {
  std::string site;
  Digest moments;  // Of the file, docs/latent_moments.md.
  bool operator==(const JobMoments&) const = default;
};

// How latents are compared with other hospitals' moments.
struct JobDrift {
  std::uint64_t seed = 0;  // At most kMaxDriftSeed (codec/drift_report.h).
  std::uint32_t permutations = 0;
  std::uint32_t rows = 0;
  std::vector<std::int64_t> members;  // The others' own mmd2_unbiased_millionths, of those that have one.
  bool operator==(const JobDrift&) const = default;
};

struct Job {
  JobKind kind = JobKind::kCommit;
  Digest plan;
  std::string site;
  std::uint32_t task = 0;
  std::uint32_t round = 0;            // Training, judging and moments jobs only; 0 otherwise.
  bool rehearsing = false;            // Train on this site's exemplars of its earlier tasks instead of its pictures.
  Digest model;                       // Base of a training job; the model to select with, evaluate or judge otherwise.
  std::optional<Digest> teacher;      // Model before the task; none in the first task or without distillation.
  std::optional<Digest> trunk;        // Model whose features `model`, then an analytic head, is for.
  bool carry_residual = false;        // Whether the previous round's rounding residual is added (design, 11.11).
  std::optional<JobPartner> partner;  // Of sealing, receiving and removing jobs, and only of them.
  std::vector<JobAnchor> anchors;     // Of training jobs under strategies ewc and derpp; earlier tasks, ascending.
  std::optional<Digest> slow;         // Of training jobs under strategy slow_fast: the slow model.
  std::vector<JobMoments> moments;    // Of training jobs under strategy alignment: what the site's term needs; of drift
                                      // jobs: of all hospitals before this one.
  std::optional<JobDrift> drift;      // Of drift jobs, and only of them.

  // An agreement is given before the initial weights need to be there, and a removal is about no model.
  [[nodiscard]] bool NeedsModel() const { return kind != JobKind::kAgree && kind != JobKind::kRemove; }
  // "<first 8 digits of the plan>-t<task>[-r<round>]-<kind>[-<first 8 digits of the candidate>]", or with the partner
  // and the first 8 digits of SHA-256 of its statement: unique within a plan and site.
  [[nodiscard]] std::string Name() const;
  [[nodiscard]] std::string ToText() const;
  [[nodiscard]] static Job FromText(std::string_view text, const std::string& where);
  bool operator==(const Job&) const = default;
};

struct JobReport {
  Digest job;           // SHA-256 of the job's text: a report for another job of the same name is not taken.
  nlohmann::json body;  // One of the reports of codec/reports.h, or an evaluation report.

  [[nodiscard]] std::string ToText() const;
  [[nodiscard]] static JobReport FromText(std::string_view text, const std::string& where);
};

struct JobProgress {
  std::string job;
  std::string phase;  // "training", "evaluating", ...
  std::uint64_t done = 0, total = 0;
  std::uint64_t pictures_per_s_thousandths = 0;

  [[nodiscard]] std::string ToText() const;
  [[nodiscard]] static JobProgress FromText(std::string_view text, const std::string& where);
};

// Paths below the shared folder.
struct JobFolder {
  Path root;

  [[nodiscard]] Path Objects() const { return root / "objects"; }
  [[nodiscard]] Path Object(const Digest& digest) const { return Objects() / digest.Hex(); }
  [[nodiscard]] Path Plans() const { return root / "plans"; }
  [[nodiscard]] Path PlanFile(const Digest& digest) const { return Plans() / (digest.Hex() + ".toml"); }
  [[nodiscard]] Path Todo() const { return root / "todo"; }
  [[nodiscard]] Path JobFile(const std::string& job) const { return Todo() / (job + ".json"); }
  [[nodiscard]] Path Work() const { return root / "work"; }
  [[nodiscard]] Path Done() const { return root / "done"; }
  [[nodiscard]] Path DoneFolder(const std::string& job) const { return Done() / job; }
  [[nodiscard]] Path ProgressFile() const { return root / "progress.json"; }

  void CreateAll(FileSystem& files) const;
};

inline constexpr std::string_view kReportFileName = "report.json";
inline constexpr std::string_view kUpdateFileName = "update.hfu";
inline constexpr std::string_view kScoresFileName = "scores.hfh";
inline constexpr std::string_view kSumsFileName = "sums.hfs";
inline constexpr std::string_view kFisherFileName = "fisher.hfu";
inline constexpr std::string_view kMeansFileName = "means.hfu";
inline constexpr std::string_view kBundleFileName = "bundle.hfx";
inline constexpr std::string_view kMomentsFileName = "moments.hfl";

}  // namespace hemafed
