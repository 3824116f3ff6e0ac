// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/federation_result.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed::studies {

namespace {

using nlohmann::json;

constexpr std::uint64_t kFormat = 1;
constexpr std::uint64_t kMaxCount = (std::uint64_t{1} << 53) - 1;
constexpr std::size_t kMaxAuditBytes = 4096;
constexpr std::size_t kMaxTitleBytes = kMaxNameBytes + 8;  // A site, and which of its tasks.

[[noreturn]] void Fail(const std::string& where, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, where + ": " + problem + "; remove the run's folder and run it again");
}

}  // namespace

AccuracyMatrix FederationResult::Matrix() const {
  AccuracyMatrix matrix;
  for (const auto& row : matrix_millionths) matrix.AddRow(row);
  return matrix;
}

std::string FederationResult::ToText() const {
  json rows = json::array();
  for (const auto& row : matrix_millionths) {
    json& cells = rows.emplace_back(json::array());
    for (const AccuracyMatrix::Cell& cell : row) cells.push_back(cell ? json(*cell) : json(nullptr));
  }
  json object = {{"format", kFormat},
                 {"made_from", answers.made_from.Hex()},
                 {"columns", columns},
                 {"matrix_millionths", std::move(rows)},
                 {"log_root", log_root.Hex()},
                 {"model", model.Hex()},
                 {"entries", entries},
                 {"rounds", rounds},
                 {"refused", refused},
                 {"audit", audit},
                 {"bytes_to_sites", bytes_to_sites},
                 {"bytes_from_sites", bytes_from_sites},
                 {"seconds_thousandths", seconds_thousandths},
                 {"updates_kept", updates_kept}};
  if (!trained_sites.empty()) {
    json& all = object["losses"] = json::array();
    for (const SiteLosses& of : losses) {
      all.push_back({of.round, of.site, of.loss_millionths, of.domains_millionths});
    }
    object["trained_sites"] = trained_sites;
  }
  return object.dump();
}

FederationResult FederationResult::FromText(std::string_view text, RunResult answers, const std::string& where) {
  const json object = ParseJsonObject(text, where);
  JsonFields fields(object, where);
  if (fields.Unsigned("format", UINT32_MAX) != kFormat) Fail(where, "was written by another version");
  FederationResult result;
  result.answers = std::move(answers);
  if (fields.Sha256Digest("made_from") != result.answers.made_from) Fail(where, "is not of the run beside it");
  result.columns = fields.Texts("columns", kMaxTasks + kMaxSites, kMaxTitleBytes);
  try {
    for (const json& row : fields.Raw("matrix_millionths")) {
      auto& cells = result.matrix_millionths.emplace_back();
      for (const json& cell : row) {
        cells.push_back(cell.is_null() ? AccuracyMatrix::Cell() : AccuracyMatrix::Cell(cell.get<std::uint64_t>()));
      }
    }
  } catch (const json::exception& error) {
    Fail(where, std::string("the matrix has another form: ") + error.what());
  }
  for (const auto& row : result.matrix_millionths) {
    if (row.size() != result.columns.size()) Fail(where, "a row of the matrix has another length");
  }
  result.log_root = fields.Sha256Digest("log_root");
  result.model = fields.Sha256Digest("model");
  result.entries = fields.Unsigned("entries", kMaxCount);
  result.rounds = fields.Unsigned("rounds", kMaxCount);
  result.refused = fields.Unsigned("refused", kMaxCount);
  result.audit = fields.Text("audit", kMaxAuditBytes);
  result.bytes_to_sites = fields.Unsigned("bytes_to_sites", kMaxCount);
  result.bytes_from_sites = fields.Unsigned("bytes_from_sites", kMaxCount);
  result.seconds_thousandths = fields.Unsigned("seconds_thousandths", kMaxCount);
  result.updates_kept = fields.Boolean("updates_kept");
  if (fields.Has("trained_sites")) {
    result.trained_sites = fields.Texts("trained_sites", kMaxSites, kMaxNameBytes);
    try {
      for (const json& of : fields.Raw("losses")) {
        result.losses.push_back({.round = of.at(0).get<std::uint32_t>(),
                                 .site = of.at(1).get<std::string>(),
                                 .loss_millionths = of.at(2).get<std::uint64_t>(),
                                 .domains_millionths = of.at(3).get<std::uint64_t>()});
        if (result.losses.back().round >= kMaxRounds) Fail(where, "a loss is of a round that no plan has");
      }
    } catch (const json::exception& error) {
      Fail(where, std::string("the losses have another form: ") + error.what());
    }
  }
  fields.RequireAllRead();
  return result;
}

}  // namespace hemafed::studies
