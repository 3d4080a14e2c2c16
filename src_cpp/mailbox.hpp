/// A queue from the driver's threads to one consumer, which sleeps on a Wakeup.
#pragma once

#include <cstddef>
#include <mutex>

#include "wakeup.hpp"

namespace acsylla_like {

/// Intrusive: an Item has a field `Item* next`, belongs to the mailbox from push() to take_all(), and costs no allocation.
template <class Item>
class Mailbox {
 public:
  /// Any thread. After it the producer touches neither the item nor the mailbox.
  void push(Item* item) noexcept {
    item->next = nullptr;
    // Guards the list and the wakeup. The signal is given under the lock: once the consumer can see the item it may drain,
    // drop the mailbox and close the descriptor.
    std::lock_guard<std::mutex> lock(mutex_);
    const bool was_empty = last_ == nullptr;
    if (was_empty) {
      first_ = item;
    } else {
      last_->next = item;
    }
    last_ = item;
    ++size_;
    if (was_empty && wakeup_ != nullptr) wakeup_->signal();
  }

  /// The items in the order of their push, linked by `next`. The consumer's thread.
  Item* take_all() noexcept {
    std::lock_guard<std::mutex> lock(mutex_);
    Item* items = first_;
    first_ = last_ = nullptr;
    size_ = 0;
    return items;
  }

  /// Puts items that take_all() gave and the consumer could not finish back to the front. The consumer's thread.
  void give_back(Item* items) noexcept {
    if (items == nullptr) return;
    Item* end = items;
    std::size_t count = 1;
    for (; end->next != nullptr; end = end->next) ++count;
    std::lock_guard<std::mutex> lock(mutex_);
    const bool was_empty = last_ == nullptr;
    end->next = first_;
    first_ = items;
    if (was_empty) last_ = end;
    size_ += count;
    if (was_empty && wakeup_ != nullptr) wakeup_->signal();
  }

  /// Whom to wake from now on; nullptr for nobody. After it returns, the former wakeup is not touched any more.
  void set_wakeup(Wakeup* wakeup) noexcept {
    std::lock_guard<std::mutex> lock(mutex_);
    wakeup_ = wakeup;
    if (last_ != nullptr && wakeup_ != nullptr) wakeup_->signal();
  }

  std::size_t size() noexcept {
    std::lock_guard<std::mutex> lock(mutex_);
    return size_;
  }

 private:
  std::mutex mutex_;
  Item* first_ = nullptr;
  Item* last_ = nullptr;
  std::size_t size_ = 0;
  Wakeup* wakeup_ = nullptr;
};

}  // namespace acsylla_like
