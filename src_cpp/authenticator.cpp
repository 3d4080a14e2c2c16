#include "authenticator.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace acsylla_like {

namespace {

/// Longer ones are as good as none, and would not fit.
constexpr double longest_seconds = 1e9;

std::chrono::steady_clock::duration seconds(double count) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(std::min(count, longest_seconds)));
}

/// What belongs to one connection, kept by the driver.
struct Exchange {
  std::uint64_t number;
  bool was_asked = false;
};

Authenticator& authenticator_of(void* data) { return **static_cast<std::shared_ptr<Authenticator>*>(data); }

Authenticator::Question question_of(CassAuthenticator* connection, std::uint64_t exchange, const char* token, std::size_t size) {
  Authenticator::Question question;
  question.exchange = exchange;
  if (size != 0) question.token.assign(token, size);
  CassInet address{};
  driver.cass_authenticator_address(connection, &address);
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.address_length == 4 ? AF_INET : AF_INET6, address.address, text, sizeof text);
  question.address = text;
  std::size_t length = 0;
  const char* name = driver.cass_authenticator_class_name(connection, &length);
  if (name != nullptr) question.server.assign(name, length);
  return question;
}

/// Runs a step and gives the driver its outcome; nothing is thrown into it.
template <class Step>
void reply(CassAuthenticator* connection, bool has_response, Step step) noexcept {
  try {
    const Authenticator::Reply outcome = step();
    if (!outcome.is_good) {
      driver.cass_authenticator_set_error_n(connection, outcome.text.data(), outcome.text.size());
    } else if (has_response) {
      driver.cass_authenticator_set_response(connection, outcome.text.data(), outcome.text.size());
    }
  } catch (...) {
    constexpr char text[] = "the authenticator had no memory";
    driver.cass_authenticator_set_error_n(connection, text, sizeof text - 1);
  }
}

void on_initial(CassAuthenticator* connection, void* data) noexcept {
  reply(connection, true, [&] {
    Authenticator& authenticator = authenticator_of(data);
    auto exchange = std::make_unique<Exchange>(Exchange{authenticator.new_exchange()});
    const std::uint64_t number = exchange->number;
    driver.cass_authenticator_set_exchange_data(connection, exchange.release());
    return authenticator.begin(question_of(connection, number, nullptr, 0));
  });
}

/// A challenge or a success, whose exchange on_initial() has made; where it could not, the driver has given up.
template <class Step>
void go_on(CassAuthenticator* connection, bool has_response, const char* token, std::size_t size, Step step) noexcept {
  reply(connection, has_response, [&]() -> Authenticator::Reply {
    auto* exchange = static_cast<Exchange*>(driver.cass_authenticator_exchange_data(connection));
    if (exchange == nullptr) return {false, "the exchange has not begun"};
    exchange->was_asked = true;
    return step(question_of(connection, exchange->number, token, size));
  });
}

void on_challenge(CassAuthenticator* connection, void* data, const char* token, std::size_t size) noexcept {
  go_on(connection, true, token, size, [data](Authenticator::Question question) {
    return authenticator_of(data).evaluate(std::move(question));
  });
}

void on_success(CassAuthenticator* connection, void* data, const char* token, std::size_t size) noexcept {
  go_on(connection, false, token, size, [data](Authenticator::Question question) {
    return authenticator_of(data).succeed(std::move(question));
  });
}

void on_end(CassAuthenticator* connection, void* data) noexcept {
  std::unique_ptr<Exchange> exchange(static_cast<Exchange*>(driver.cass_authenticator_exchange_data(connection)));
  driver.cass_authenticator_set_exchange_data(connection, nullptr);
  if (exchange == nullptr || !exchange->was_asked) return;
  try {
    authenticator_of(data).end(exchange->number);
  } catch (...) {  // the worker keeps what it noted of the exchange
  }
}

void on_detach(void* data) noexcept { delete static_cast<std::shared_ptr<Authenticator>*>(data); }

}  // namespace

Authenticator::Authenticator(double timeout, double renew_after, bool wants_challenges, bool wants_success)
    : timeout_(seconds(timeout)),
      renew_after_(seconds(renew_after)),
      wants_challenges_(wants_challenges),
      wants_success_(wants_success) {}

void Authenticator::set_response(std::string response) {
  std::lock_guard<std::mutex> lock(mutex_);
  response_ = std::move(response);
  response_made_ = Clock::now();
  has_response_ = true;
}

std::uint64_t Authenticator::open() {
  std::lock_guard<std::mutex> lock(mutex_);
  is_open_ = true;
  return ++worker_;
}

void Authenticator::close() noexcept {
  std::lock_guard<std::mutex> lock(mutex_);
  is_open_ = false;
  ++worker_;
  questions_.clear();
  asked_.notify_all();
  answered_.notify_all();
}

bool Authenticator::next(std::uint64_t worker, Question& question) {
  std::unique_lock<std::mutex> lock(mutex_);
  asked_.wait(lock, [&] { return worker != worker_ || !questions_.empty(); });
  if (worker != worker_) return false;
  question = std::move(questions_.front());
  questions_.pop_front();
  return true;
}

bool Authenticator::answer(std::uint64_t id, std::string response) { return settle(id, true, std::move(response)); }

bool Authenticator::refuse(std::uint64_t id, std::string reason) { return settle(id, false, std::move(reason)); }

bool Authenticator::settle(std::uint64_t id, bool is_good, std::string text) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (Waiting* waiting : waiting_) {
    if (waiting->id != id) continue;
    waiting->reply = Reply{is_good, std::move(text)};
    waiting->is_answered = true;
    answered_.notify_all();
    return true;
  }
  return false;
}

Authenticator::Reply Authenticator::begin(Question question) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (has_response_ && Clock::now() - response_made_ <= renew_after_) return {true, response_};
  question.kind = RENEWAL;
  Reply reply = ask(lock, std::move(question));
  if (reply.is_good) {
    response_ = reply.text;
    response_made_ = Clock::now();
    has_response_ = true;
  } else if (has_response_) {
    return {true, response_};  // an old response may still do, and no response does not
  }
  return reply;
}

Authenticator::Reply Authenticator::evaluate(Question question) {
  if (!wants_challenges_) return {false, "the server sends a challenge, and the authenticator answers none"};
  question.kind = CHALLENGE;
  std::unique_lock<std::mutex> lock(mutex_);
  return ask(lock, std::move(question));
}

Authenticator::Reply Authenticator::succeed(Question question) {
  if (!wants_success_) return {true, {}};
  question.kind = SUCCESS;
  std::unique_lock<std::mutex> lock(mutex_);
  return ask(lock, std::move(question));
}

void Authenticator::end(std::uint64_t exchange) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!is_open_ || !(wants_challenges_ || wants_success_)) return;
  Question question;
  question.exchange = exchange;
  question.kind = END;
  questions_.push_back(std::move(question));
  asked_.notify_one();
}

std::uint64_t Authenticator::new_exchange() {
  std::lock_guard<std::mutex> lock(mutex_);
  return ++last_id_;
}

Authenticator::Reply Authenticator::ask(std::unique_lock<std::mutex>& lock, Question question) {
  if (!is_open_) return {false, "nobody answers for the authenticator any more: its sessions are closed"};
  const std::uint64_t worker = worker_;
  const Clock::time_point deadline = Clock::now() + timeout_;
  const std::uint64_t id = ++last_id_;
  Waiting waiting{id, false, {}};
  question.id = id;
  const auto place = waiting_.insert(waiting_.end(), &waiting);
  try {
    questions_.push_back(std::move(question));
  } catch (...) {
    waiting_.erase(place);
    throw;
  }
  asked_.notify_one();
  answered_.wait_until(lock, deadline, [&] { return waiting.is_answered || worker != worker_; });
  waiting_.erase(place);
  if (waiting.is_answered) return std::move(waiting.reply);
  questions_.erase(std::remove_if(questions_.begin(), questions_.end(), [id](const Question& one) { return one.id == id; }),
                   questions_.end());
  if (worker != worker_) return {false, "nobody answers for the authenticator any more: its sessions are closed"};
  char text[100];
  std::snprintf(text, sizeof text, "the authenticator did not answer within %g s",
                std::chrono::duration<double>(timeout_).count());
  return {false, text};
}

CassError attach_authenticator(CassCluster* cluster, std::shared_ptr<Authenticator> authenticator) {
  const CassAuthenticatorCallbacks callbacks{on_initial, on_challenge, on_success, on_end};
  auto data = std::make_unique<std::shared_ptr<Authenticator>>(std::move(authenticator));
  const CassError code = driver.cass_cluster_set_authenticator_callbacks(cluster, &callbacks, on_detach, data.get());
  if (code == CASS_OK) (void)data.release();
  return code;
}

}  // namespace acsylla_like
