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
  // Overwrites the result, which is the same one for every piece: memory that it has is used again.
  using Work = std::function<void(const Piece&, Result&)>;

  explicit Turns(const std::vector<Work>& workers) {
    for (const Work& work : workers) {
      lanes_.push_back(std::make_unique<Lane>());
      Lane* lane = lanes_.back().get();
      lane->work = work;
      if (workers.size() > 1) lane->thread = std::thread([this, lane] { run(*lane); });
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

  // Called on a worker's own thread after each piece from now on.
  void when_finished(std::function<void()> call) {
    const std::lock_guard<std::mutex> lock(finished_mutex_);
    finished_ = std::move(call);
  }

  std::size_t under_way() const { return put_ - taken_; }
  // Whether take() has something and would not wait for it.
  bool done() const {
    if (under_way() == 0) return false;
    Lane& lane = *lanes_[taken_ % lanes_.size()];
    const std::lock_guard<std::mutex> lock(lane.mutex);
    return !lane.piece;
  }

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

  // The result, which stays until the next put(). Throws what the worker threw; std::logic_error
  // when nothing is under way.
  const Result& take() {
    if (under_way() == 0) throw std::logic_error("take() before put()");
    Lane& lane = *lanes_[taken_ % lanes_.size()];
    ++taken_;
    std::unique_lock<std::mutex> lock(lane.mutex);
    lane.changed.wait(lock, [&] { return !lane.piece; });
    if (lane.failure) std::rethrow_exception(std::exchange(lane.failure, nullptr));
    return lane.result;
  }

 private:
  struct Lane {
    Work work;
    std::mutex mutex;
    std::condition_variable changed;  // with the mutex: all below
    std::optional<Piece> piece;       // until it is done
    Result result;
    std::exception_ptr failure;
    bool stopping = false;
    std::thread thread;

    // Nobody else touches the lane while it has a piece.
    void finish() {
      std::exception_ptr thrown;
      try {
        work(*piece, result);
      } catch (...) {
        thrown = std::current_exception();
      }
      const std::lock_guard<std::mutex> lock(mutex);
      failure = std::move(thrown);  // the taker is its only owner then
      piece.reset();
      changed.notify_all();
    }
  };

  void run(Lane& lane) {
    while (true) {
      {
        std::unique_lock<std::mutex> lock(lane.mutex);
        lane.changed.wait(lock, [&] { return lane.piece || lane.stopping; });
        if (!lane.piece) return;
      }
      lane.finish();
      const std::lock_guard<std::mutex> lock(finished_mutex_);
      if (finished_) finished_();
    }
  }

  std::vector<std::unique_ptr<Lane>> lanes_;
  std::mutex finished_mutex_;
  std::function<void()> finished_;
  std::size_t put_ = 0, taken_ = 0;
};

}  // namespace unina
