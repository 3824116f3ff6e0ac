// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/lab_withdrawals.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed {

using nlohmann::json;

namespace {
// Statements of one plan, and their file: each has at most 500 numbers of five digits.
constexpr std::size_t kMaxLabWithdrawals = 5'000;
constexpr std::size_t kMaxWithdrawalsBytes = 16u << 20;
// Statements of twenty plans; 7 MB.
constexpr std::size_t kMaxSaidWithdrawals = 20 * kMaxLabWithdrawals;
}  // namespace

void LabWithdrawals::Save(FileSystem& files, const Path& path) const {
  json list = json::array();
  for (const WithdrawalReport& report : reports) list.push_back(report.ToJson());
  const std::string text = json{{"plan", plan.Hex()}, {"withdrawals", std::move(list)}}.dump() + "\n";
  if (reports.size() > kMaxLabWithdrawals || text.size() > kMaxWithdrawalsBytes) {
    throw Error(ErrorCode::kInvalidInput, path.string() + ": more withdrawals than one plan can take");
  }
  WriteFileAtomically(files, path, text, 0600);
}

Path WithdrawalsFileOf(const Path& lab, const Digest& plan) {
  return lab / "agent" / ("withdrawals-" + plan.Hex() + ".json");
}

LabWithdrawals LoadLabWithdrawals(FileSystem& files, const Path& path) {
  LabWithdrawals decided;
  if (!files.Exists(path)) return decided;
  const json object = ParseJsonObject(ReadFile(files, path, kMaxWithdrawalsBytes), path.string());
  JsonFields fields(object, path.string());
  decided.plan = fields.Sha256Digest("plan");
  for (JsonFields& item : fields.Objects("withdrawals", kMaxLabWithdrawals)) {
    decided.reports.push_back(WithdrawalReport::FromJson(item));
  }
  fields.RequireAllRead();
  return decided;
}

void SaveSaidWithdrawals(FileSystem& files, const Path& path, const std::set<Digest>& said) {
  json list = json::array();
  for (const Digest& digest : said) list.push_back(digest.Hex());
  WriteFileAtomically(files, path, json{{"said", std::move(list)}}.dump() + "\n", 0600);
}

std::set<Digest> LoadSaidWithdrawals(FileSystem& files, const Path& path) {
  std::set<Digest> said;
  if (!files.Exists(path)) return said;
  const json object = ParseJsonObject(ReadFile(files, path, kMaxWithdrawalsBytes), path.string());
  JsonFields fields(object, path.string());
  for (const std::string& hex : fields.Texts("said", kMaxSaidWithdrawals, 64)) {
    const auto digest = Digest::FromHex(hex);
    if (!digest) fields.Fail("said", "holds something that is no digest");
    said.insert(*digest);
  }
  fields.RequireAllRead();
  return said;
}

}  // namespace hemafed
