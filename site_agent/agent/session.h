// site_agent/agent/session.h
// SPDX-License-Identifier: Apache-2.0
//
// The agent as a state machine without sockets: messages of the coordinator and results of the trainer go in, messages
// to the coordinator come out. It holds nothing that must survive: an agent that died asks for its assignment again,
// finds the models and the trainer's results in the job folder, and goes on.
//
//     assignment -> fetch missing objects -> hand the job to the trainer -> check the report against the egress
//     contract
//                -> put the file that goes with it -> sign and submit -> keep the receipt
//
// Jobs of the policy `sealed` start only where the lab's people agreed; that they took it back is stated unasked, and
// so are pictures that they withdrew after those had travelled.
//
// Errors: a coordinator that breaks the agreement (unsigned plan, wrong content) ends the session with Error(kRefused)
// or Error(kInvalidInput); this machine's troubles (disk) are thrown as they are. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "codec/job_folder.h"
#include "codec/plan.h"
#include "common/clock.h"
#include "protocol/federation/assignment.h"
#include "protocol/federation/enclosure.h"
#include "protocol/objects/transfer_client.h"
#include "protocol/wire/messages.h"
#include "site_agent/agent/egress.h"
#include "site_agent/agent/result_folder.h"
#include "site_agent/agent/site_folder.h"

namespace hemafed::agent {

class Session {
 public:
  using Messages = std::vector<wire::Message>;

  // `files` and `clock` are borrowed.
  Session(FileSystem& files, const Clock& clock, SiteFolder folder, Membership membership,
          Ed25519KeyPair statement_key);

  // A connection is ready.
  [[nodiscard]] Messages OnReady();
  [[nodiscard]] Messages Handle(const wire::Message& message);
  // Looks for the trainer's result and progress; call several times a second.
  [[nodiscard]] Messages Poll();

  // The plan is done and the final model is here.
  [[nodiscard]] bool finished() const { return finished_; }
  // Lines for the lab's people since the last call.
  [[nodiscard]] std::vector<std::string> TakeNews();

 private:
  enum class Stage : std::uint8_t { kIdle, kFetching, kAsking, kTraining, kPutting, kSubmitted };

  Messages Take(const wire::Assignment& message);
  Messages Take(const wire::HaveReply& reply);
  void Take(const wire::Receipt& receipt);
  void Take(const wire::Refusal& refusal);
  Messages Advance();
  Messages Fetch();
  void StartJob();
  // Starts the job, or asks the lab's people first where it needs their agreement (Stage::kAsking).
  Messages BeginJob();
  // What the partner signed is what the job needs; ends the session if not.
  void CheckPartner() const;
  // States that the lab's people took their agreement back, if they did and the log does not have it yet.
  Messages EndAgreement();
  // The first withdrawal of the lab's people that the log does not have yet, as a statement (session_withdrawals.cc).
  [[nodiscard]] std::optional<SiteStatement> NextWithdrawal();
  Messages Withdraw();
  // The withdrawal that was submitted and not answered: nothing else is begun meanwhile, so that the next receipt is
  // its.
  [[nodiscard]] std::optional<Digest> WithdrawalUnderWay() const;
  // After the answer: goes on with what was assigned.
  Messages AfterWithdrawal(const Digest& withdrawal, bool logged);
  void LeaveWithdrawal();
  // Before a removing job: its bundle, should the file still lie here. After it: results made before it.
  void RemoveBundleOf(const Job& job) const;
  void RemoveOtherResults(const Job& job) const;
  // Either of them, where nothing else is under way.
  Messages SayUnasked();
  // The partner that this lab's people have not agreed with, if the job needs one.
  [[nodiscard]] std::optional<std::string> UnagreedPartner(const Job& job) const;
  void AskPeople(const std::string& partner);
  Messages TakeResult();
  // Copies a file of the trainer's to where only the agent writes, hashing what it copies.
  void CopyOut(const Path& from, const Enclosure& enclosure) const;
  Messages Submit();
  Messages AfterTransfer();
  [[nodiscard]] Path TargetOf(const Digest& object) const;
  // What the site must hold for the assignment: what it names, and what the plan names, once that is known.
  [[nodiscard]] std::vector<Digest> Wanted() const;
  void RemoveOldObjects();
  void Tell(std::string line) { news_.push_back(std::move(line)); }

  FileSystem& files_;
  const Clock& clock_;
  SiteFolder folder_;
  JobFolder jobs_;
  Membership membership_;
  Ed25519KeyPair statement_key_;
  ResultFolder results_;
  wire::TransferClient transfer_;
  EgressRecord egress_;

  std::string assignment_text_;
  Digest assignment_digest_;
  std::optional<Assignment> assignment_;
  std::optional<Plan> plan_;  // Of the assignment, once fetched and checked.
  Stage stage_ = Stage::kIdle;
  std::set<Digest> asked_;  // Objects whose size was asked for.
  std::optional<SiteStatement> statement_;
  std::optional<Ed25519Signature> signature_;
  std::string progress_text_;
  std::int64_t pinged_ms_ = 0;
  std::optional<std::set<Digest>> said_withdrawals_;  // By the digests of their texts; once read from the file.
  std::set<Digest> refused_withdrawals_;              // Tried again with the next assignment.
  std::optional<wire::Assignment> held_;              // Came while a withdrawal was under way.
  std::int64_t looked_ms_ = 0;                        // At what the lab's people decided.
  std::optional<std::int64_t> again_at_ms_;           // When the trainer makes a refused answer anew.
  std::string last_note_;
  std::string asked_people_;  // For which they were asked, so that they are asked once.
  bool finished_ = false;
  std::optional<Digest> kept_model_;  // The plan's last, which the lab has got.
  std::vector<std::string> news_;
};

}  // namespace hemafed::agent
