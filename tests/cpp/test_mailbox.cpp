#include "mailbox.hpp"

#include <poll.h>

#include <atomic>
#include <memory>

#include "check.hpp"

using acsylla_like::Mailbox;
using acsylla_like::Wakeup;

namespace {

struct Item {
  Item* next = nullptr;
  int producer = 0;
  int number = 0;
};

bool is_readable(int fd, int milliseconds = 0) {
  pollfd descriptor{fd, POLLIN, 0};
  return poll(&descriptor, 1, milliseconds) == 1;
}

}  // namespace

CASE(items_come_out_in_the_order_they_went_in) {
  Mailbox<Item> mailbox;
  Item items[5];
  for (int i = 0; i < 5; ++i) {
    items[i].number = i;
    mailbox.push(&items[i]);
  }
  CHECK(mailbox.size() == 5);
  Item* item = mailbox.take_all();
  for (int i = 0; i < 5; ++i, item = item->next) CHECK(item->number == i);
  CHECK(item == nullptr);
  CHECK(mailbox.size() == 0);
  CHECK(mailbox.take_all() == nullptr);
}

CASE(what_is_given_back_comes_out_first) {
  Mailbox<Item> mailbox;
  Item items[4];
  for (int i = 0; i < 4; ++i) items[i].number = i;
  for (int i = 0; i < 3; ++i) mailbox.push(&items[i]);
  Item* rest = mailbox.take_all()->next;
  mailbox.push(&items[3]);
  mailbox.give_back(rest);
  mailbox.give_back(nullptr);
  CHECK(mailbox.size() == 3);
  Item* item = mailbox.take_all();
  for (int i = 1; i < 4; ++i, item = item->next) CHECK(item->number == i);
  CHECK(item == nullptr);

  mailbox.give_back(&items[3]);  // to an empty one, which then still knows its end
  mailbox.push(&items[0]);
  CHECK(mailbox.take_all()->next == &items[0]);
}

CASE(only_the_first_push_signals) {
  Mailbox<Item> mailbox;
  Wakeup wakeup;
  CHECK(wakeup.open(false));
  mailbox.set_wakeup(&wakeup);
  Item items[3];
  CHECK(!is_readable(wakeup.fd()));
  mailbox.push(&items[0]);
  CHECK(is_readable(wakeup.fd()));
  wakeup.clear();
  mailbox.push(&items[1]);
  CHECK(!is_readable(wakeup.fd()));
  Item* taken = mailbox.take_all();
  mailbox.push(&items[2]);
  CHECK(is_readable(wakeup.fd()));
  wakeup.clear();
  mailbox.give_back(taken);  // not empty: its signal is the push's
  CHECK(!is_readable(wakeup.fd()));
  taken = mailbox.take_all();
  mailbox.give_back(taken);
  CHECK(is_readable(wakeup.fd()));
}

CASE(a_new_wakeup_learns_of_items_that_wait) {
  Mailbox<Item> mailbox;
  Item item;
  mailbox.push(&item);
  Wakeup wakeup;
  CHECK(wakeup.open(false));
  mailbox.set_wakeup(&wakeup);
  CHECK(is_readable(wakeup.fd()));
  mailbox.set_wakeup(nullptr);
}

CASE(nobody_touches_a_mailbox_after_its_last_item_was_taken) {
  // The consumer drops the mailbox and closes the descriptor as soon as it has seen the last item: a producer that signals
  // after it has let the lock go writes to a descriptor, and reads a mailbox, that are gone.
  for (int round = 0; round < 3000; ++round) {
    auto wakeup = std::make_unique<Wakeup>();
    CHECK(wakeup->open(false));
    auto mailbox = std::make_unique<Mailbox<Item>>();
    mailbox->set_wakeup(wakeup.get());
    Item items[2];
    Mailbox<Item>* const shared = mailbox.get();
    std::thread producers[2];
    for (int i = 0; i < 2; ++i) producers[i] = std::thread([shared, item = &items[i]] { shared->push(item); });
    int taken = 0;
    while (taken < 2) {
      for (Item* item = mailbox->take_all(); item != nullptr; item = item->next) ++taken;
    }
    mailbox.reset();
    wakeup.reset();
    for (std::thread& producer : producers) producer.join();
  }
}

static void eighty_thousand_completions(bool prefer_pipe) {
  constexpr int producers = 4, each = 20000;
  auto wakeup = std::make_unique<Wakeup>();
  CHECK(wakeup->open(prefer_pipe));
  auto mailbox = std::make_unique<Mailbox<Item>>();
  mailbox->set_wakeup(wakeup.get());
  std::vector<Item> items(producers * each);
  std::vector<std::thread> threads;
  std::atomic<bool> go{false};
  for (int producer = 0; producer < producers; ++producer) {
    threads.emplace_back([&, producer] {
      while (!go) std::this_thread::yield();
      for (int number = 0; number < each; ++number) {
        Item* item = &items[producer * each + number];
        item->producer = producer;
        item->number = number;
        mailbox->push(item);
      }
    });
  }
  int expected[producers] = {};
  int taken = 0, wakes = 0;
  go = true;
  while (taken < producers * each) {
    CHECK(is_readable(wakeup->fd(), 10000));  // never waits for ever: no wake-up is lost
    wakeup->clear();
    ++wakes;
    int here = 0;
    for (Item* item = mailbox->take_all(); item != nullptr;) {
      Item* const following = item->next;
      CHECK(item->number == expected[item->producer]++);
      item->next = nullptr;
      ++taken;
      item = following;
      if (++here == 1000 && item != nullptr) {  // as a loop that has other work to do
        mailbox->give_back(item);
        break;
      }
    }
  }
  mailbox.reset();
  wakeup.reset();
  for (std::thread& thread : threads) thread.join();
  std::printf("  %d completions in %d wakes\n", taken, wakes);
  CHECK(wakes <= taken);
}

CASE(eighty_thousand_completions_by_eventfd) { eighty_thousand_completions(false); }
CASE(eighty_thousand_completions_by_pipe) { eighty_thousand_completions(true); }

CASE(a_wakeup_is_not_touched_once_it_was_replaced) {
  Mailbox<Item> mailbox;
  std::vector<Item> items(20000);
  std::thread producer([&] {
    for (Item& item : items) mailbox.push(&item);
  });
  std::size_t taken = 0;
  while (taken < items.size()) {
    auto wakeup = std::make_unique<Wakeup>();
    CHECK(wakeup->open(false));
    mailbox.set_wakeup(wakeup.get());
    for (Item* item = mailbox.take_all(); item != nullptr; item = item->next) ++taken;
    mailbox.set_wakeup(nullptr);
  }
  producer.join();
}
