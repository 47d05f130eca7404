// Workers that take pieces of work in turn; results come in the order of the pieces.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace unina {

// For one thread that puts and takes. Every worker has a thread of its own, except a single one,
// which works in put(): there is nothing to gain from handing it over.
template <typename Piece, typename Result>
class Turns {
 public:
  using Work = std::function<Result(const Piece&)>;

  explicit Turns(const std::vector<Work>& workers) {
    for (const Work& work : workers) {
      lanes_.push_back(std::make_unique<Lane>());
      Lane* lane = lanes_.back().get();
      lane->work = work;
      if (workers.size() > 1) lane->thread = std::thread([lane] { lane->run(); });
    }
  }
  // Waits for what is under way.
  ~Turns() {
    for (const auto& lane : lanes_) {
      {
        const std::lock_guard<std::mutex> lock(lane->mutex);
        lane->stopping = true;
      }
      lane->changed.notify_all();
      if (lane->thread.joinable()) lane->thread.join();
    }
  }
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  std::size_t under_way() const { return put_ - taken_; }

  // Throws std::logic_error when every worker has a piece that was not taken.
  void put(const Piece& piece) {
    if (under_way() == lanes_.size()) throw std::logic_error("put() before take()");
    Lane& lane = *lanes_[put_ % lanes_.size()];
    ++put_;
    {
      const std::lock_guard<std::mutex> lock(lane.mutex);
      lane.piece = piece;
    }
    if (lane.thread.joinable()) {
      lane.changed.notify_all();
    } else {
      lane.finish();
    }
  }

  // Throws what the worker threw; std::logic_error when nothing is under way.
  Result take() {
    if (under_way() == 0) throw std::logic_error("take() before put()");
    Lane& lane = *lanes_[taken_ % lanes_.size()];
    ++taken_;
    std::unique_lock<std::mutex> lock(lane.mutex);
    lane.changed.wait(lock, [&] { return !lane.piece; });
    if (lane.failure) std::rethrow_exception(std::exchange(lane.failure, nullptr));
    return std::move(*std::exchange(lane.result, std::nullopt));
  }

 private:
  struct Lane {
    Work work;
    std::mutex mutex;
    std::condition_variable changed;  // with the mutex: all below
    std::optional<Piece> piece;       // until it is done
    std::optional<Result> result;
    std::exception_ptr failure;
    bool stopping = false;
    std::thread thread;

    // Nobody else touches the lane while it has a piece.
    void finish() {
      std::optional<Result> made;
      std::exception_ptr thrown;
      try {
        made = work(*piece);
      } catch (...) {
        thrown = std::current_exception();
      }
      const std::lock_guard<std::mutex> lock(mutex);
      result = std::move(made);
      failure = std::move(thrown);  // the taker is its only owner then
      piece.reset();
      changed.notify_all();
    }
    void run() {
      while (true) {
        {
          std::unique_lock<std::mutex> lock(mutex);
          changed.wait(lock, [&] { return piece || stopping; });
          if (!piece) return;
        }
        finish();
      }
    }
  };

  std::vector<std::unique_ptr<Lane>> lanes_;
  std::size_t put_ = 0, taken_ = 0;
};

}  // namespace unina
