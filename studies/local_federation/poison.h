// studies/local_federation/poison.h
// SPDX-License-Identifier: Apache-2.0
//
// A lab whose updates are wrong, for experiments on what a federation bears: after the honest trainer has left its
// result, the integers in it are replaced and the report made to fit, so that the agent signs and sends them as its
// own. With q the honest integers, theta the round's base on the grid of 2^-22:
//
//     sign_flipped    -q
//     scaled          100 q, held within int32
//     random          independent uniform integers with q's mean square, by the plan's seed, site, task and round
//     not_a_number    what a float that is no number becomes where nobody checks: -2^31 everywhere
//     stale_base      q + theta_before - theta: as if trained from the base of the round before (in a task's first
//                     round, from the teacher)
//     other_base      q + theta_teacher - theta: as if trained from the model that the task began with
//
// Integers that leave int32 are held at its ends. What a report says besides (pictures, steps, probe) stays honest: the
// poison is in the values.
//
// Errors: kInvalidInput for int8 plans, whose files cannot hold such values, and for a name that is no poison; those of
// FileSystem. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/job_folder.h"
#include "codec/plan.h"
#include "codec/update.h"
#include "common/file_system.h"

namespace hemafed::studies {

enum class PoisonKind : std::uint8_t { kSignFlipped, kScaled, kRandom, kNotANumber, kStaleBase, kOtherBase };
[[nodiscard]] std::string_view PoisonName(PoisonKind kind) noexcept;
[[nodiscard]] const std::vector<std::string_view>& PoisonNames();

struct PoisonSettings {
  std::string site;
  PoisonKind kind = PoisonKind::kSignFlipped;
  std::uint32_t from_task = 0;  // Counted from 0.

  // "raabin:sign_flipped:2": site, kind, and the first poisoned task as people count them, from 1.
  [[nodiscard]] static PoisonSettings FromText(std::string_view text);
  [[nodiscard]] std::string ToText() const;
};

class Poison {
 public:
  // `memory`: a folder where the round before is remembered, so that an interrupted experiment goes on. Borrowed:
  // files.
  Poison(FileSystem& files, JobFolder jobs, PoisonSettings settings, Path memory);

  // Rewrites results of training jobs that wait for the agent; each once, however often this is called.
  void RewriteResults(const Plan& plan);

 private:
  void Rewrite(const Job& job, const Plan& plan);
  [[nodiscard]] std::vector<std::int32_t> Poisoned(const Job& job, const Plan& plan, std::vector<std::int32_t> honest,
                                                   const UpdateLayout& layout) const;
  // q + theta_from - theta of the job's base, held within int32.
  [[nodiscard]] std::vector<std::int32_t> Rebased(std::vector<std::int32_t> honest, const Path& from, const Job& job,
                                                  const UpdateLayout& layout) const;
  [[nodiscard]] Path RememberedBase(const Job& job, std::uint32_t round) const;
  void Remember(const Job& job);

  FileSystem& files_;
  JobFolder jobs_;
  PoisonSettings settings_;
  Path memory_;
};

}  // namespace hemafed::studies
