// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/autoencoder_outputs.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "common/report/chart_frame.h"
#include "common/report/line_chart.h"
#include "learning/metrics/confidence.h"

namespace hemafed::studies {

namespace {

using nlohmann::json;

// Rounds of a table for people.
constexpr std::size_t kShownRounds = 21;
// Hospitals of a chart.
constexpr std::size_t kChartedSites = 12;
static_assert(kChartedSites <= kMaxChartSeries);
constexpr int kDigits = 4;

double Share(std::uint64_t millionths) { return static_cast<double>(millionths) / 1e6; }

// Hospitals in the order in which the plan names them: that of the first round's updates may be another.
std::vector<std::string> SitesOf(const ArmResults& arm) { return arm.results.front().trained_sites; }

struct Losses {
  std::vector<double> loss, domains;  // One a seed.
};

// By round and site; a refused update has none.
std::map<std::pair<std::uint32_t, std::string>, Losses> Gathered(const ArmResults& arm) {
  std::map<std::pair<std::uint32_t, std::string>, Losses> all;
  for (const FederationResult& result : arm.results) {
    for (const SiteLosses& losses : result.losses) {
      Losses& cell = all[{losses.round, losses.site}];
      cell.loss.push_back(Share(losses.loss_millionths));
      cell.domains.push_back(Share(losses.domains_millionths));
    }
  }
  return all;
}

std::uint32_t RoundsOf(const ArmResults& arm) {
  std::uint32_t rounds = 0;
  for (const FederationResult& result : arm.results) {
    for (const SiteLosses& losses : result.losses) rounds = std::max(rounds, losses.round + 1);
  }
  return rounds;
}

Cell Described(const std::vector<double>& values) {
  const learning::OverRuns over = learning::DescribeRuns(values);
  return Measurement{
      .value = over.mean, .spread = over.runs > 1 ? std::optional(over.deviation) : std::nullopt, .digits = kDigits};
}

}  // namespace

Table LossTable(const ArmResults& arm) {
  Table table;
  table.title = arm.name + ": loss and alignment by round and hospital";
  table.columns = {{"round"}};
  const std::vector<std::string> sites = SitesOf(arm);
  for (const std::string& site : sites) {
    table.columns.push_back({site + " loss"});
    table.columns.push_back({site + " alignment"});
  }
  const auto cells = Gathered(arm);
  const std::uint32_t rounds = RoundsOf(arm);
  const std::size_t every = std::max<std::size_t>(1, (rounds + kShownRounds - 2) / (kShownRounds - 1));
  for (std::uint32_t round = 0; round < rounds; ++round) {
    if (round % every != 0 && round + 1 != rounds) continue;
    std::vector<Cell> row{Measurement{.value = static_cast<double>(round) + 1, .spread = {}, .digits = 0}};
    for (const std::string& site : sites) {
      const auto found = cells.find({round, site});
      row.push_back(found == cells.end() ? Cell{} : Described(found->second.loss));
      row.push_back(found == cells.end() ? Cell{} : Described(found->second.domains));
    }
    table.rows.push_back(std::move(row));
  }
  table.notes = {
      "As the hospitals signed it: means over a round's local steps of the whole loss (features, pictures, and beta "
      "times alignment) and of the alignment term alone. Empty: no update was taken. Nobody scores these models."};
  if (every > 1) table.notes.push_back("Every " + std::to_string(every) + ". round; losses.csv has them all.");
  return table;
}

Figure LossFigure(const ArmResults& arm) {
  LineChart chart;
  chart.title = arm.name + ": loss of each hospital";
  chart.x_title = "round";
  chart.y_title = "loss";
  const auto cells = Gathered(arm);
  const std::uint32_t rounds = RoundsOf(arm);
  const std::vector<std::string> sites = SitesOf(arm);
  for (std::uint32_t round = 0; round < rounds; ++round) chart.x_values.push_back(round + 1);
  for (std::size_t s = 0; s < std::min(sites.size(), kChartedSites); ++s) {
    LineSeries line;
    line.name = sites[s];
    for (std::uint32_t round = 0; round < rounds; ++round) {
      const auto found = cells.find({round, sites[s]});
      line.values.push_back(found == cells.end() ? std::nullopt
                                                 : std::optional(learning::DescribeRuns(found->second.loss).mean));
    }
    chart.series.push_back(std::move(line));
  }
  return {.drawing = DrawLineChart(chart), .caption = "Mean over a round's local steps, and over the seeds."};
}

std::string LossesCsv(const std::vector<ArmResults>& arms) {
  Table table;
  table.columns = {{"plan"}, {"seed"}, {"round"}, {"site"}, {"loss"}, {"alignment"}};
  for (const ArmResults& arm : arms) {
    for (std::size_t i = 0; i < arm.results.size(); ++i) {
      for (const SiteLosses& losses : arm.results[i].losses) {
        table.rows.push_back({arm.name, std::to_string(arm.seeds[i]), std::to_string(losses.round + 1), losses.site,
                              Measurement{.value = Share(losses.loss_millionths), .spread = {}, .digits = 6},
                              Measurement{.value = Share(losses.domains_millionths), .spread = {}, .digits = 6}});
      }
    }
  }
  return CsvTable(table);
}

json LossesJson(const FederationResult& result) {
  json all = json::array();
  for (const SiteLosses& losses : result.losses) {
    all.push_back({{"round", losses.round + 1},
                   {"site", losses.site},
                   {"loss", Share(losses.loss_millionths)},
                   {"alignment", Share(losses.domains_millionths)}});
  }
  return all;
}

}  // namespace hemafed::studies
