// SPDX-License-Identifier: Apache-2.0
//
// Any text as each file of a job folder: either refused with kInvalidInput, or written again so that the same is read.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/drift_report.h"
#include "codec/exchange.h"
#include "codec/job_folder.h"
#include "codec/reports.h"
#include "common/error.h"

namespace {

template <class Check>
void Try(const Check& check) {
  try {
    check();
  } catch (const hemafed::Error& error) {
    if (error.code() != hemafed::ErrorCode::kInvalidInput) std::abort();
  }
}

// The text that T writes is read as the same T.
template <class T>
void ReadTwice(std::string_view text) {
  const std::string written = T::FromText(text, "file").ToText();
  if (T::FromText(written, "file").ToText() != written) std::abort();
}

template <class Report>
void ReadReport(const nlohmann::json& body) {
  const nlohmann::json written = Report::FromJson(hemafed::JsonFields(body, "report")).ToJson();
  if (Report::FromJson(hemafed::JsonFields(written, "report")).ToJson() != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Try([&] { ReadTwice<hemafed::Job>(text); });
  Try([&] { ReadTwice<hemafed::JobProgress>(text); });
  Try([&] {
    ReadTwice<hemafed::JobReport>(text);
    const nlohmann::json body = hemafed::JobReport::FromText(text, "file").body;
    Try([&] { ReadReport<hemafed::CommitmentReport>(body); });
    Try([&] { ReadReport<hemafed::UpdateReport>(body); });
    Try([&] { ReadReport<hemafed::ExemplarReport>(body); });
    Try([&] { ReadReport<hemafed::SumsReport>(body); });
    Try([&] { ReadReport<hemafed::FisherReport>(body); });
    Try([&] { ReadReport<hemafed::MeansReport>(body); });
    Try([&] { ReadReport<hemafed::MomentsReport>(body); });
    Try([&] { ReadReport<hemafed::DriftReport>(body); });
    Try([&] { ReadReport<hemafed::DriftRefusal>(body); });
    Try([&] { ReadReport<hemafed::BelowMinPictures>(body); });
    Try([&] { ReadReport<hemafed::TrainerKeyReport>(body); });
    Try([&] { ReadReport<hemafed::AgreementReport>(body); });
    Try([&] { ReadReport<hemafed::BundleReport>(body); });
    Try([&] { ReadReport<hemafed::ReceivedReport>(body); });
    Try([&] { ReadReport<hemafed::WithdrawalReport>(body); });
    Try([&] { ReadReport<hemafed::RemovedReport>(body); });
  });
  return 0;
}
