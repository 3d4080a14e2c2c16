#include "authenticator.hpp"

#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace acsylla_like;

namespace {

/// The driver's side of one connection's exchange.
struct Connection {
  void* data = nullptr;
  std::string response;
  std::string error;
  CassAuthenticator* as_driver() { return reinterpret_cast<CassAuthenticator*>(this); }
};

Connection& connection_of(const CassAuthenticator* exchange) {
  return *reinterpret_cast<Connection*>(const_cast<CassAuthenticator*>(exchange));
}

CassAuthenticatorCallbacks callbacks;
CassAuthenticatorDataCleanupCallback detach = nullptr;
void* attached = nullptr;

void use_fake_exchanges() {
  driver.cass_cluster_set_authenticator_callbacks = [](CassCluster*, const CassAuthenticatorCallbacks* given,
                                                       CassAuthenticatorDataCleanupCallback cleanup, void* data) -> CassError {
    callbacks = *given;
    detach = cleanup;
    attached = data;
    return CASS_OK;
  };
  driver.cass_authenticator_address = [](const CassAuthenticator*, CassInet* address) {
    *address = CassInet{{127, 0, 0, 9}, 4};
  };
  driver.cass_authenticator_class_name = [](const CassAuthenticator*, std::size_t* length) -> const char* {
    *length = 7;
    return "a.Class";
  };
  driver.cass_authenticator_exchange_data = [](CassAuthenticator* exchange) { return connection_of(exchange).data; };
  driver.cass_authenticator_set_exchange_data = [](CassAuthenticator* exchange, void* data) { connection_of(exchange).data = data; };
  driver.cass_authenticator_set_response = [](CassAuthenticator* exchange, const char* response, std::size_t size) {
    connection_of(exchange).response.assign(response, size);
  };
  driver.cass_authenticator_set_error_n = [](CassAuthenticator* exchange, const char* message, std::size_t length) {
    connection_of(exchange).error.assign(message, length);
  };
}

std::shared_ptr<Authenticator> attached_authenticator(double timeout, double renew_after, bool challenges, bool success) {
  use_fake_exchanges();
  auto authenticator = std::make_shared<Authenticator>(timeout, renew_after, challenges, success);
  CHECK(attach_authenticator(nullptr, authenticator) == CASS_OK);
  return authenticator;
}

void challenge(Connection& connection, const char* token) {
  callbacks.challenge(connection.as_driver(), attached, token, std::strlen(token));
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

CASE(connections_begin_with_the_response_that_was_set) {
  auto authenticator = attached_authenticator(5, 1000, false, false);
  authenticator->set_response(std::string("\0user\0secret", 12));
  Connection connection;
  callbacks.initial(connection.as_driver(), attached);
  CHECK(connection.error.empty());
  CHECK(connection.response == std::string("\0user\0secret", 12));
  callbacks.success(connection.as_driver(), attached, "", 0);
  CHECK(connection.error.empty());
  callbacks.cleanup(connection.as_driver(), attached);
  CHECK(connection.data == nullptr);
  detach(attached);
}

CASE(a_worker_answers_challenges_and_hears_of_their_end) {
  auto authenticator = attached_authenticator(10, 1000, true, true);
  authenticator->set_response("begin");
  const std::uint64_t number = authenticator->open();
  std::uint64_t ended = 0;
  std::thread worker([&] {
    Authenticator::Question question;
    while (authenticator->next(number, question)) {
      if (question.kind == Authenticator::END) {
        ended = question.exchange;
        continue;
      }
      CHECK(question.address == "127.0.0.9");
      CHECK(question.server == "a.Class");
      CHECK(authenticator->answer(question.id, question.token + "!"));
    }
  });
  Connection connection;
  callbacks.initial(connection.as_driver(), attached);
  CHECK(connection.response == "begin");
  challenge(connection, "one");
  CHECK(connection.response == "one!");
  challenge(connection, "two");
  CHECK(connection.response == "two!");
  callbacks.success(connection.as_driver(), attached, "done", 4);
  CHECK(connection.response == "two!");
  CHECK(connection.error.empty());
  callbacks.cleanup(connection.as_driver(), attached);
  Connection later;  // its answer comes after the END before it was taken
  callbacks.initial(later.as_driver(), attached);
  challenge(later, "x");
  authenticator->close();
  worker.join();
  CHECK(ended != 0);
  callbacks.cleanup(later.as_driver(), attached);
  detach(attached);
}

CASE(a_refusal_and_its_reason_reach_the_driver) {
  auto authenticator = attached_authenticator(10, 1000, true, true);
  authenticator->set_response("");
  const std::uint64_t number = authenticator->open();
  std::thread worker([&] {
    Authenticator::Question question;
    while (authenticator->next(number, question)) authenticator->refuse(question.id, "no " + question.token);
  });
  Connection connection;
  callbacks.initial(connection.as_driver(), attached);
  CHECK(connection.error.empty());
  challenge(connection, "way");
  CHECK(connection.error == "no way");
  callbacks.success(connection.as_driver(), attached, "trust", 5);
  CHECK(connection.error == "no trust");
  authenticator->close();
  worker.join();
  callbacks.cleanup(connection.as_driver(), attached);
  detach(attached);
}

CASE(nobody_waits_longer_than_the_timeout_and_late_answers_are_dropped) {
  auto authenticator = attached_authenticator(0.05, 1000, true, false);
  authenticator->set_response("");
  const std::uint64_t number = authenticator->open();
  Connection connection;
  callbacks.initial(connection.as_driver(), attached);
  const auto start = std::chrono::steady_clock::now();
  challenge(connection, "one");
  CHECK(seconds_since(start) >= 0.05);
  CHECK(connection.error == "the authenticator did not answer within 0.05 s");
  std::atomic<std::uint64_t> taken{0};
  std::thread worker([&] {
    Authenticator::Question question;
    CHECK(authenticator->next(number, question));
    CHECK(question.token == "two");  // that to which nobody listens any more is not asked
    taken = question.id;
  });
  challenge(connection, "two");
  worker.join();
  CHECK(!authenticator->answer(taken, "late"));
  CHECK(!authenticator->refuse(taken, "late"));
  callbacks.cleanup(connection.as_driver(), attached);
  detach(attached);
}

CASE(without_a_worker_the_answer_is_an_error_at_once) {
  auto authenticator = attached_authenticator(1000, 1000, true, false);
  authenticator->set_response("");
  Connection connection;
  callbacks.initial(connection.as_driver(), attached);
  challenge(connection, "one");
  CHECK(connection.error.find("sessions are closed") != std::string::npos);
  callbacks.cleanup(connection.as_driver(), attached);
  detach(attached);
}

CASE(a_challenge_that_nobody_wants_is_an_error) {
  auto authenticator = attached_authenticator(1000, 1000, false, false);
  authenticator->set_response("");
  (void)authenticator->open();
  Connection connection;
  callbacks.initial(connection.as_driver(), attached);
  challenge(connection, "one");
  CHECK(connection.error.find("answers none") != std::string::npos);
  callbacks.cleanup(connection.as_driver(), attached);
  detach(attached);
}

CASE(closing_wakes_whoever_waits) {
  auto authenticator = attached_authenticator(1000, 1000, true, false);
  authenticator->set_response("");
  const std::uint64_t number = authenticator->open();
  Connection connection;
  callbacks.initial(connection.as_driver(), attached);
  std::thread io([&] { challenge(connection, "one"); });
  Authenticator::Question question;
  CHECK(authenticator->next(number, question));
  authenticator->close();
  io.join();
  CHECK(connection.error.find("sessions are closed") != std::string::npos);
  CHECK(!authenticator->answer(question.id, "late"));
  CHECK(!authenticator->next(number, question));
  callbacks.cleanup(connection.as_driver(), attached);
  detach(attached);
}

CASE(an_old_response_is_renewed_and_serves_when_that_fails) {
  auto authenticator = attached_authenticator(10, 0, false, false);
  authenticator->set_response("old");
  const std::uint64_t number = authenticator->open();
  std::thread worker([&] {
    Authenticator::Question question;
    int asked = 0;
    while (authenticator->next(number, question)) {
      CHECK(question.kind == Authenticator::RENEWAL);
      if (++asked == 1) {
        CHECK(authenticator->answer(question.id, "new"));
      } else {
        CHECK(authenticator->refuse(question.id, "the vault is shut"));
      }
    }
  });
  const auto a_moment_later = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  CHECK(check::comes_true([&] { return std::chrono::steady_clock::now() > a_moment_later; }));
  Connection first;
  callbacks.initial(first.as_driver(), attached);
  CHECK(first.response == "new");
  Connection second;
  callbacks.initial(second.as_driver(), attached);
  CHECK(second.response == "new");
  CHECK(second.error.empty());
  authenticator->close();
  worker.join();
  for (Connection* connection : {&first, &second}) callbacks.cleanup(connection->as_driver(), attached);
  detach(attached);
}

CASE(without_any_response_a_failed_renewal_is_the_error) {
  auto authenticator = attached_authenticator(10, 1000, false, false);
  Connection connection;
  callbacks.initial(connection.as_driver(), attached);
  CHECK(connection.error.find("sessions are closed") != std::string::npos);
  callbacks.cleanup(connection.as_driver(), attached);
  detach(attached);
}

CASE(the_driver_may_keep_an_authenticator_for_longer_than_its_owner) {
  auto authenticator = attached_authenticator(10, 1000, false, false);
  authenticator->set_response("kept");
  authenticator.reset();
  Connection connection;
  callbacks.initial(connection.as_driver(), attached);
  CHECK(connection.response == "kept");
  callbacks.cleanup(connection.as_driver(), attached);
  detach(attached);
}

CASE(many_connections_at_once_get_their_own_answers_while_workers_come_and_go) {
  auto authenticator = attached_authenticator(0.5, 1000, true, false);
  authenticator->set_response("");
  std::atomic<bool> is_over{false};
  std::atomic<int> good{0};
  std::thread workers([&] {
    while (!is_over) {
      const std::uint64_t number = authenticator->open();
      std::thread worker([&authenticator, number] {
        Authenticator::Question question;
        while (authenticator->next(number, question)) {
          if (question.kind != Authenticator::END) authenticator->answer(question.id, question.token);
        }
      });
      const int before = good;
      check::comes_true([&] { return is_over || good > before + 3; });
      authenticator->close();
      worker.join();
    }
  });
  std::vector<std::thread> io;
  for (int i = 0; i < 4; ++i) {
    io.emplace_back([&, i] {
      for (int n = 0; n < 200; ++n) {
        Connection connection;
        callbacks.initial(connection.as_driver(), attached);
        const std::string token = std::to_string(i * 1000 + n);
        challenge(connection, token.c_str());
        if (connection.error.empty()) {
          CHECK(connection.response == token);
          ++good;
        }
        callbacks.cleanup(connection.as_driver(), attached);
      }
    });
  }
  for (std::thread& thread : io) thread.join();
  is_over = true;
  workers.join();
  CHECK(good > 0);
  detach(attached);
}
