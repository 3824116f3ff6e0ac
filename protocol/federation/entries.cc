// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/entries.h"

#include <algorithm>
#include <array>

#include "codec/merge.h"
#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "protocol/log/canonical_json.h"

namespace hemafed {

using nlohmann::json;

namespace {

constexpr std::uint64_t kMillion = 1'000'000;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kMaxReasonBytes = 1000;  // A refusal is one or two sentences.
constexpr std::array<std::string_view, 17> kStatementNames{
    "commitment", "update",     "acknowledgement", "exemplars", "evaluation", "judgement",
    "sums",       "agreement",  "agreement_end",   "bundle",    "received",   "fisher",
    "means",      "withdrawal", "removed",         "moments",   "drift"};

constexpr std::array<std::string_view, 2> kDecisionNames{"leave_out", "try_again"};

std::string PlainName(JsonFields& fields, const std::string& key) {
  auto name = fields.Text(key, kMaxNameBytes);
  if (!IsPlainName(name)) fields.Fail(key, "is not a plain name (a-z, 0-9, '_', '-')");
  return name;
}

Ed25519PublicKey PublicKey(JsonFields& fields, const std::string& key) {
  Ed25519PublicKey value;
  const Bytes bytes = fields.HexBytes(key, value.bytes.size());
  std::copy(bytes.begin(), bytes.end(), value.bytes.begin());
  return value;
}

Ed25519Signature Signature(JsonFields& fields, const std::string& key) {
  Ed25519Signature value{};
  const Bytes bytes = fields.HexBytes(key, value.size());
  std::copy(bytes.begin(), bytes.end(), value.begin());
  return value;
}

std::uint32_t TaskNumber(JsonFields& fields) {
  return static_cast<std::uint32_t>(fields.Unsigned("task", kMaxTasks - 1));
}
std::uint32_t RoundNumber(JsonFields& fields) {
  return static_cast<std::uint32_t>(fields.Unsigned("round", kMaxRounds - 1));
}

// One overload pair per entry type: Fill writes the type's own fields, Read takes them back.

void Fill(json& out, const ConsortiumEntry& entry) {
  out["name"] = entry.name;
  out["operator"] = HexEncode(entry.operator_key.bytes);
  out["log"] = HexEncode(entry.log_key.bytes);
  out["server"] = HexEncode(entry.server_key);
}
void Read(JsonFields& fields, ConsortiumEntry& entry) {
  entry.name = PlainName(fields, "name");
  entry.operator_key = PublicKey(fields, "operator");
  entry.log_key = PublicKey(fields, "log");
  entry.server_key = fields.HexBytes("server", kKeyBytes);
}

void Fill(json& out, const RosterEntry& entry) {
  out["change"] = entry.joins ? "join" : "revoke";
  out["lab"] = entry.lab.ToJson();
  out["lab_signature"] = HexEncode(entry.lab_signature);
  out["operator_signature"] = HexEncode(entry.operator_signature);
}
void Read(JsonFields& fields, RosterEntry& entry) {
  const std::string change = fields.Text("change", 8);
  if (change != "join" && change != "revoke") fields.Fail("change", "is neither join nor revoke");
  entry.joins = change == "join";
  entry.lab = LabIdentity::FromJson(fields.Raw("lab"), fields.where() + ": lab");
  entry.lab_signature = Signature(fields, "lab_signature");
  entry.operator_signature = Signature(fields, "operator_signature");
}

void Fill(json& out, const PlanEntry& entry) {
  out["plan"] = entry.plan.Hex();
  out["operator_signature"] = HexEncode(entry.operator_signature);
}
void Read(JsonFields& fields, PlanEntry& entry) {
  entry.plan = fields.Sha256Digest("plan");
  entry.operator_signature = Signature(fields, "operator_signature");
}

void Fill(json& out, const TaskOpenedEntry& entry) {
  out["task"] = entry.task;
  out["base"] = entry.base.Hex();
  out["teacher"] = entry.teacher ? json(entry.teacher->Hex()) : json(nullptr);
  out["participants"] = entry.participants;
  if (entry.slow) out["slow"] = entry.slow->Hex();
}
void Read(JsonFields& fields, TaskOpenedEntry& entry) {
  entry.task = TaskNumber(fields);
  entry.base = fields.Sha256Digest("base");
  entry.teacher = fields.OptionalDigest("teacher");
  entry.participants = fields.Texts("participants", kMaxSites, kMaxNameBytes);
  if (fields.Has("slow")) entry.slow = fields.Sha256Digest("slow");
}

void Fill(json& out, const RoundOpenedEntry& entry) {
  out["task"] = entry.task;
  out["round"] = entry.round;
  out["base"] = entry.base.Hex();
}
void Read(JsonFields& fields, RoundOpenedEntry& entry) {
  entry.task = TaskNumber(fields);
  entry.round = RoundNumber(fields);
  entry.base = fields.Sha256Digest("base");
}

json StatementJson(const SiteStatement& statement) {
  return {{"kind", StatementKindName(statement.kind)},
          {"task", statement.task},
          {"round", statement.round},
          {"subject", statement.subject.Hex()},
          {"body", statement.body}};
}
SiteStatement ReadStatement(JsonFields& fields) {
  SiteStatement statement;
  const std::string kind = fields.Text("kind", 32);
  std::size_t index = 0;
  while (index < kStatementNames.size() && kStatementNames[index] != kind) ++index;
  if (index == kStatementNames.size()) fields.Fail("kind", "is not a kind of statement");
  statement.kind = static_cast<StatementKind>(index + 1);
  statement.task = TaskNumber(fields);
  statement.round = RoundNumber(fields);
  statement.subject = fields.Sha256Digest("subject");
  statement.body = fields.Raw("body");
  return statement;
}

void Fill(json& out, const StatementEntry& entry) {
  out.update(StatementJson(entry.statement));
  out["site"] = entry.site;
  out["signature"] = HexEncode(entry.signature);
}
void Read(JsonFields& fields, StatementEntry& entry) {
  entry.statement = ReadStatement(fields);
  entry.site = PlainName(fields, "site");
  entry.signature = Signature(fields, "signature");
}

void Fill(json& out, const RefusedEntry& entry) {
  out["site"] = entry.site;
  out["task"] = entry.task;
  out["round"] = entry.round;
  out["update"] = entry.update.Hex();
  out["reason"] = entry.reason;
}
void Read(JsonFields& fields, RefusedEntry& entry) {
  entry.site = PlainName(fields, "site");
  entry.task = TaskNumber(fields);
  entry.round = RoundNumber(fields);
  entry.update = fields.Sha256Digest("update");
  entry.reason = fields.Text("reason", kMaxReasonBytes);
}

void Fill(json& out, const AbsentEntry& entry) {
  out["site"] = entry.site;
  out["task"] = entry.task;
  out["round"] = entry.round;
  out["exemplars"] = entry.exemplars;
}
void Read(JsonFields& fields, AbsentEntry& entry) {
  entry.site = PlainName(fields, "site");
  entry.task = TaskNumber(fields);
  entry.round = RoundNumber(fields);
  entry.exemplars = fields.Unsigned("exemplars", kMaxPictures);
}

void Fill(json& out, const PausedEntry& entry) {
  out["task"] = entry.task;
  out["round"] = entry.round;
  out["sites"] = entry.sites;
  out["reason"] = entry.reason;
}
void Read(JsonFields& fields, PausedEntry& entry) {
  entry.task = TaskNumber(fields);
  entry.round = RoundNumber(fields);
  entry.sites = fields.Texts("sites", kMaxSites, kMaxNameBytes);
  entry.reason = fields.Text("reason", kMaxReasonBytes);
}

void Fill(json& out, const DecisionEntry& entry) {
  out["decision"] = DecisionName(entry.kind);
  out["site"] = entry.site;
  out["task"] = entry.task;
  out["round"] = entry.round;
  out["operator_signature"] = HexEncode(entry.operator_signature);
}
void Read(JsonFields& fields, DecisionEntry& entry) {
  const std::string name = fields.Text("decision", 16);
  if (name != kDecisionNames[0] && name != kDecisionNames[1]) fields.Fail("decision", "is not one that can be taken");
  entry.kind = name == kDecisionNames[0] ? DecisionKind::kLeaveOut : DecisionKind::kTryAgain;
  entry.site = PlainName(fields, "site");
  entry.task = TaskNumber(fields);
  entry.round = RoundNumber(fields);
  entry.operator_signature = Signature(fields, "operator_signature");
}

void Fill(json& out, const CandidateEntry& entry) {
  out["task"] = entry.task;
  out["round"] = entry.round;
  out["halvings"] = entry.halvings;
  out["step"] = entry.step.Hex();
  out["model"] = entry.model.Hex();
}
void Read(JsonFields& fields, CandidateEntry& entry) {
  entry.task = TaskNumber(fields);
  entry.round = RoundNumber(fields);
  entry.halvings = static_cast<std::uint32_t>(fields.Unsigned("halvings", kMaxHalvings));
  entry.step = fields.Sha256Digest("step");
  entry.model = fields.Sha256Digest("model");
}

void Fill(json& out, const RoundClosedEntry& entry) {
  out["task"] = entry.task;
  out["round"] = entry.round;
  out["halvings"] = entry.halvings;
  out["rejected"] = entry.rejected;
  json weights = json::array();
  for (const auto& [site, weight] : entry.weights) weights.push_back({{"site", site}, {"weight", weight}});
  out["weights"] = std::move(weights);
  out["step"] = entry.step.Hex();
  out["model"] = entry.model.Hex();
  if (entry.slow) out["slow"] = entry.slow->Hex();
}
void Read(JsonFields& fields, RoundClosedEntry& entry) {
  entry.task = TaskNumber(fields);
  entry.round = RoundNumber(fields);
  entry.halvings = static_cast<std::uint32_t>(fields.Unsigned("halvings", kMaxHalvings));
  entry.rejected = fields.Boolean("rejected");
  for (JsonFields& item : fields.Objects("weights", kMaxSites)) {
    std::string site = PlainName(item, "site");
    entry.weights.emplace_back(std::move(site), static_cast<std::uint32_t>(item.Unsigned("weight", 1u << 15)));
    item.RequireAllRead();
  }
  entry.step = fields.Sha256Digest("step");
  entry.model = fields.Sha256Digest("model");
  if (fields.Has("slow")) entry.slow = fields.Sha256Digest("slow");
}

void Fill(json& out, const ModelDerivedEntry& entry) {
  out["task"] = entry.task;
  out["model"] = entry.model.Hex();
}
void Read(JsonFields& fields, ModelDerivedEntry& entry) {
  entry.task = TaskNumber(fields);
  entry.model = fields.Sha256Digest("model");
}

void Fill(json& out, const HeadSolvedEntry& entry) {
  out["task"] = entry.task;
  out["sums"] = entry.sums.Hex();
  out["totals"] = entry.totals.Hex();
  out["head"] = entry.head.Hex();
}
void Read(JsonFields& fields, HeadSolvedEntry& entry) {
  entry.task = TaskNumber(fields);
  entry.sums = fields.Sha256Digest("sums");
  entry.totals = fields.Sha256Digest("totals");
  entry.head = fields.Sha256Digest("head");
}

void Fill(json& out, const TaskClosedEntry& entry) {
  out["task"] = entry.task;
  out["model"] = entry.model.Hex();
  json& cells = out["accuracy_millionths"] = json::array();
  for (const auto& cell : entry.accuracy_millionths) cells.push_back(cell ? json(*cell) : json(nullptr));
}
void Read(JsonFields& fields, TaskClosedEntry& entry) {
  entry.task = TaskNumber(fields);
  entry.model = fields.Sha256Digest("model");
  entry.accuracy_millionths = fields.Counts("accuracy_millionths", kMaxColumns, kMillion);
}

void Fill(json& out, const PlanClosedEntry& entry) {
  out["model"] = entry.model.Hex();
  const auto figure = [](const std::optional<std::int64_t>& value) { return value ? json(*value) : json(nullptr); };
  out["average_accuracy_millionths"] = figure(entry.average_accuracy_millionths);
  out["de_lange_forgetting_millionths"] = figure(entry.de_lange_forgetting_millionths);
  out["first_task_drop_millionths"] = figure(entry.first_task_drop_millionths);
}
void Read(JsonFields& fields, PlanClosedEntry& entry) {
  constexpr auto kOne = static_cast<std::int64_t>(kMillion);
  entry.model = fields.Sha256Digest("model");
  const auto figure = [&](const std::string& key, std::int64_t least) -> std::optional<std::int64_t> {
    if (fields.Raw(key).is_null()) return std::nullopt;
    return fields.Integer(key, least, kOne);
  };
  entry.average_accuracy_millionths = figure("average_accuracy_millionths", 0);
  entry.de_lange_forgetting_millionths = figure("de_lange_forgetting_millionths", -kOne);
  entry.first_task_drop_millionths = figure("first_task_drop_millionths", -kOne);
}

// In the order of EntryBody's alternatives.
constexpr std::array<std::string_view, std::variant_size_v<EntryBody>> kTypeNames{
    "consortium",  "roster",        "plan",        "task_opened", "round_opened", "statement",
    "refused",     "absent",        "paused",      "decision",    "candidate",    "round_closed",
    "head_solved", "model_derived", "task_closed", "plan_closed"};

template <std::size_t Index = 0>
EntryBody ReadBody(std::size_t wanted, JsonFields& fields) {
  if constexpr (Index < std::variant_size_v<EntryBody>) {
    if (wanted != Index) return ReadBody<Index + 1>(wanted, fields);
    std::variant_alternative_t<Index, EntryBody> entry;
    Read(fields, entry);
    return entry;
  } else {
    throw Error(ErrorCode::kInternal, "entry type out of range");
  }
}

}  // namespace

json LabIdentity::ToJson() const {
  return {{"slot", slot},
          {"curve", HexEncode(curve_key)},
          {"statement", HexEncode(statement_key.bytes)},
          {"witness", HexEncode(witness_key.bytes)}};
}

LabIdentity LabIdentity::FromJson(const json& object, const std::string& where) {
  JsonFields fields(object, where);
  LabIdentity lab;
  lab.slot = PlainName(fields, "slot");
  lab.curve_key = fields.HexBytes("curve", kKeyBytes);
  lab.statement_key = PublicKey(fields, "statement");
  lab.witness_key = PublicKey(fields, "witness");
  fields.RequireAllRead();
  return lab;
}

std::string_view DecisionName(DecisionKind kind) noexcept { return kDecisionNames[static_cast<std::size_t>(kind)]; }

std::string_view StatementKindName(StatementKind kind) noexcept {
  return kStatementNames[static_cast<std::size_t>(kind) - 1];
}

bool IsAboutPlan(StatementKind kind) noexcept {
  return kind == StatementKind::kAgreement || kind == StatementKind::kAgreementEnd ||
         kind == StatementKind::kWithdrawal || kind == StatementKind::kRemoved;
}

std::string SiteStatement::ToText() const { return CanonicalJson(StatementJson(*this)); }

SiteStatement SiteStatement::FromText(std::string_view text) {
  const json object = ParseCanonicalJson(text);
  JsonFields fields(object, "statement");
  SiteStatement statement = ReadStatement(fields);
  fields.RequireAllRead();
  return statement;
}

std::string_view EntryTypeName(const EntryBody& body) noexcept { return kTypeNames[body.index()]; }

std::string EntryToText(const Entry& entry) {
  json out = {{"type", EntryTypeName(entry.body)}, {"at_ms", entry.at_ms}};
  std::visit([&](const auto& body) { Fill(out, body); }, entry.body);
  return CanonicalJson(out);
}

Entry ParseEntry(std::string_view text) {
  const json object = ParseCanonicalJson(text);
  JsonFields fields(object, "log entry");
  const std::string type = fields.Text("type", 32);
  std::size_t index = 0;
  while (index < kTypeNames.size() && kTypeNames[index] != type) ++index;
  if (index == kTypeNames.size()) fields.Fail("type", "is not a type of entry that this version knows");
  Entry entry;
  entry.at_ms = fields.Integer("at_ms", 0, (1ll << 53) - 1);
  entry.body = ReadBody(index, fields);
  fields.RequireAllRead();
  return entry;
}

}  // namespace hemafed
