// predict: a network in C++17. Weights, model and arena are owned by objects; a status that is not
// N2C_OK becomes an exception. Two threads share the weights and the model, each with its arena.
//
//   predict tiny_gen.n2w
#include "tiny_gen.h"

#include <array>
#include <cstdio>
#include <future>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

namespace {

void require(n2c_status status, const std::string &what)
{
    if (status != N2C_OK)
        throw std::runtime_error(what + ": " + n2c_status_text(status));
}

class Weights {
public:
    explicit Weights(const std::string &path)
    {
        require(n2c_map_weights(path.c_str(), &data_, &bytes_), path);
    }
    ~Weights() { n2c_unmap_weights(data_, bytes_); }
    Weights(const Weights &) = delete;
    Weights &operator=(const Weights &) = delete;
    const void *data() const { return data_; }
    std::size_t bytes() const { return bytes_; }

private:
    const void *data_ = nullptr;
    std::size_t bytes_ = 0;
};

using Image = std::array<float, TINY_IMAGE_COUNT>;
using Prob = std::array<float, TINY_PROB_COUNT>;

// Never changes once it is made: any number of threads may use it.
class Network {
public:
    explicit Network(const std::string &path) : weights_(path)
    {
        require(tiny_bind(&model_, weights_.data(), weights_.bytes()), path);
    }
    const tiny_model &model() const { return model_; }

private:
    Weights weights_;
    tiny_model model_{};
};

// What one thread needs to run a network: an arena.
class Runner {
public:
    explicit Runner(const Network &network)
        : network_(network), arena_(n2c_aligned_alloc(TINY_ARENA_BYTES(1)), n2c_aligned_free)
    {
        if (!arena_)
            throw std::bad_alloc();
    }
    Prob operator()(const Image &image)
    {
        Prob prob{};
        const tiny_io io = {image.data(), prob.data()};
        require(tiny_run(&network_.model(), &io, 1, arena_.get(), nullptr), "run");
        return prob;
    }

private:
    const Network &network_;
    std::unique_ptr<void, void (*)(void *)> arena_;
};

Image draw()
{
    constexpr std::size_t side = 12;
    Image image{};
    for (std::size_t i = 0; i < image.size(); i++)
        image[i] = static_cast<float>((i % side + 2 * (i / side)) % 16) / 16;
    return image;
}

}  // namespace

int main(int argc, char **argv)
try {
    const Network network(argc > 1 ? argv[1] : "tiny_gen.n2w");
    const Image image = draw();
    auto predict = [&] { return Runner(network)(image); };
    auto other = std::async(std::launch::async, predict);
    const Prob prob = predict();
    if (other.get() != prob)
        throw std::logic_error("two threads, two results");
    for (const float p : prob)
        std::printf("%.9g\n", static_cast<double>(p));
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "predict: %s\n", error.what());
    return 1;
}
