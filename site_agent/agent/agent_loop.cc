// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/agent_loop.h"

#include <algorithm>

#include "protocol/wire/client_endpoint.h"
#include "protocol/wire/wire_context.h"
#include "site_agent/agent/session.h"

namespace hemafed::agent {

namespace {

// How often the job folder is looked at: a round of the demo lasts a few seconds, so this is not felt.
constexpr int kPollMs = 25;

}  // namespace

void RunAgent(FileSystem& files, const Clock& clock, const SiteFolder& folder, bool until_finished,
              const AgentHooks& hooks) {
  const Membership membership = Membership::Load(files, folder.MembershipFile());
  const SiteKeys keys = SiteKeys::Load(files, folder);
  wire::CurveKey server_key{};
  std::copy_n(membership.server_key.begin(), server_key.size(), server_key.begin());

  Session session(files, clock, folder, membership, keys.statement);
  wire::WireContext context;
  wire::ClientEndpoint endpoint(
      context, clock, {.server_endpoint = membership.work_endpoint, .server_key = server_key, .keys = keys.curve});
  // What cannot be sent is lost on purpose: after the next kReady the session says everything again.
  const auto send = [&](const Session::Messages& messages) {
    for (const wire::Message& message : messages) {
      if (!endpoint.Send(message)) return;
    }
  };
  hooks.print(membership.slot + ": dialling " + membership.work_endpoint);
  std::string explained;
  while (!hooks.stop()) {
    const auto received = endpoint.Receive(kPollMs);
    while (const auto event = endpoint.NextEvent()) {
      switch (event->news) {
        case wire::ConnectionNews::kReady:
          hooks.print("connected");
          explained.clear();
          send(session.OnReady());
          break;
        case wire::ConnectionNews::kDisconnected: hooks.print("connection lost; dialling again"); break;
        case wire::ConnectionNews::kRefused:
        case wire::ConnectionNews::kFailed:
        case wire::ConnectionNews::kUnreachable:
          if (const std::string text = endpoint.ExplainFailure(); text != explained) hooks.print(explained = text);
          break;
      }
    }
    if (received) {
      if (const auto* bad = std::get_if<wire::BadMessage>(&*received)) {
        hooks.print("the coordinator sent something that is no message (" + bad->reason + ")");
      } else {
        send(session.Handle(std::get<wire::Message>(*received)));
      }
    }
    if (endpoint.ready()) send(session.Poll());
    for (const std::string& line : session.TakeNews()) hooks.print(line);
    if (until_finished && session.finished()) break;
  }
}

}  // namespace hemafed::agent
