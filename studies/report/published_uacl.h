// studies/report/published_uacl.h
// SPDX-License-Identifier: Apache-2.0
//
// Table 2 of UACL (Sadafi, Salehi et al., "A Continual Learning Approach for Cross-Domain White Blood Cell
// Classification", 2023) as data, and the table that sets measured values beside it.
//
// Two conventions, because the paper's are not those it cites. With a[t][j] the accuracy on task j after task t and
// A_t = (1/t) sum_{j<=t} a[t][j]:
//
//   over steps     Acc = mean over t of A_t, For = mean over t >= 2 of a[t-1][1] - a[t][1], the drop of task 1 alone;
//                  each with the population standard deviation over t. The paper does not say so: it is inferred,
//                  because only this gives its fine-tuning rows for a learner that is perfect and then forgets all.
//   at the end     A_T, and the mean over j < T of a[j][j] - a[T][j] (De Lange et al., "A Continual Learning Survey",
//                  TPAMI 2021); the spread is the standard deviation over seeds.
//
// A published spread is therefore no tolerance from run to run.
//
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/report/number_text.h"
#include "common/report/table.h"
#include "studies/report/report_names.h"

namespace hemafed::studies {

enum class UaclExperiment : std::uint8_t {
  kDomains,         // D: Matek-19, INT-20, Acevedo-20 one after another; 3 tasks.
  kClassesMatek,    // C_M: the classes of Matek-19 in 4 tasks.
  kClassesInt,      // C_I: of INT-20.
  kClassesAcevedo,  // C_A: of Acevedo-20.
  kMixed,           // DC: C_M, C_I, C_A one after another; 12 tasks.
};

enum class UaclMethod : std::uint8_t { kUacl, kFineTuning, kEwc, kIcarl, kUpperBound };

// "D", "C_M", ...; "UACL", "fine-tuning", "EWC", "iCaRL", "upper bound".
[[nodiscard]] std::string_view NameOf(UaclExperiment experiment);
[[nodiscard]] std::string_view NameOf(UaclMethod method);
// Tasks of the published experiment.
[[nodiscard]] int TasksOf(UaclExperiment experiment);

struct PublishedScore {
  UaclExperiment experiment;
  UaclMethod method;
  Measurement accuracy;                   // Two digits and a spread, as printed.
  std::optional<Measurement> forgetting;  // The paper gives none for the upper bound.
};

// All 25 cells, by experiment, then method.
[[nodiscard]] std::span<const PublishedScore> PublishedUaclScores();
[[nodiscard]] const PublishedScore& PublishedUaclScore(UaclExperiment experiment, UaclMethod method);

struct MeasuredScore {
  UaclExperiment experiment;         // Whose published row stands beside this one.
  std::optional<UaclMethod> method;  // Nothing for a method that the paper does not have.
  std::string name;                  // Of such a method; otherwise left empty.
  int seeds = 1;
  // Over steps: averages over the seeds of each run's mean and of its population standard deviation over steps.
  Measurement accuracy_over_steps;
  std::optional<Measurement> first_task_drop;
  // At the end: mean over seeds; the spread is left out for a single seed.
  Measurement final_accuracy;
  std::optional<Measurement> de_lange_forgetting;
};

// For each experiment with a measured score: all five published methods, then the others, in the order given; what was
// not measured is left empty. `measured_on` names the data ("raabin, acevedo20_c128, bccd; 5 classes") and goes
// into the notes, because only the full public sets in the paper's order make the numbers comparable.
// kInvalidInput: no score, the same method twice in one experiment, a method without a name.
[[nodiscard]] Table UaclComparison(std::span<const MeasuredScore> measured, const std::string& measured_on);

}  // namespace hemafed::studies
