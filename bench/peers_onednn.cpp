/* peers_onednn: a network as a chain of oneDNN primitives, the library that others run convolutions
 * with, without what an engine adds. A program that runs on request (see yardstick.h).
 *
 * usage: peers_onednn STEM BATCH INPUT.f32 OUTPUT.f32     threads: OMP_NUM_THREADS
 *
 * STEM.chain and STEM.raw are what export_chain.py writes. Every layout is the primitive's own
 * choice; weights are reordered once; activations and residuals are post-operations.
 */
#include <dnnl.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "yardstick.h"

using namespace dnnl;
using Dims = memory::dims;
using Args = std::unordered_map<int, memory>;
static const auto f32 = memory::data_type::f32;
static const auto any = memory::format_tag::any;

class Chain {
public:
    Chain(const std::string &stem, memory::dim batch);
    void load_input(const char *path);
    void store_output(const char *path);
    void run()
    {
        for (auto &[step, args] : steps)
            step.execute(stream_, args);
        stream_.wait();
    }

private:
    engine engine_{engine::kind::cpu, 0};
    stream stream_{engine_};
    memory::dim batch;
    std::ifstream raw;
    std::map<std::string, memory> value;
    memory entry, exit;
    std::vector<std::pair<primitive, Args>> steps;

    void read_step(const std::string &op, std::istream &in);
    void add_step(const primitive &p, const Args &args) { steps.emplace_back(p, args); }
    void conv(const std::string &name, const std::string &from, const Dims &dst, std::istream &in);
    void linear(const std::string &name, const std::string &from, const Dims &dst,
                std::istream &in);
    void pool(const std::string &name, const std::string &from, const Dims &dst, algorithm how,
              const Dims &kernel, const Dims &stride, const Dims &before, const Dims &after);
    void lrn(const std::string &name, const std::string &from, std::istream &in);
    void join(const std::string &op, const std::string &name,
              const std::vector<std::string> &from, std::istream &in);
    memory plain(const Dims &dims, memory::format_tag tag)
    {
        return memory({dims, f32, tag}, engine_);
    }
    memory parameters(const Dims &dims, memory::format_tag tag)
    {
        memory m = plain(dims, tag);
        raw.read(static_cast<char *>(m.get_data_handle()),
                 static_cast<std::streamsize>(m.get_desc().get_size()));
        if (!raw)
            throw std::runtime_error("weights are too short");
        return m;
    }
    /* The memory in a layout; moved at once, or by a step of each run. */
    memory moved(memory m, const memory::desc &desc, bool each_run)
    {
        if (m.get_desc() == desc)
            return m;
        memory to(desc, engine_);
        if (each_run)
            add_step(reorder(m, to), {{DNNL_ARG_FROM, m}, {DNNL_ARG_TO, to}});
        else
            reorder(m, to).execute(stream_, m, to);
        return to;
    }
    static void append(post_ops &ops, const std::string &activation)
    {
        if (activation == "relu")
            ops.append_eltwise(algorithm::eltwise_relu, 0, 0);
        else if (activation == "relu6")
            ops.append_eltwise(algorithm::eltwise_clip, 0, 6);
    }
    static primitive_attr attributes(const post_ops &ops)
    {
        primitive_attr a;
        a.set_post_ops(ops);
        a.set_scratchpad_mode(scratchpad_mode::library);
        return a;
    }
};

static Dims read_dims(std::istream &in, int n)
{
    Dims d(static_cast<size_t>(n));
    for (auto &x : d)
        in >> x;
    return d;
}

/* The residual's memory becomes the result: nothing reads it afterwards. */
void Chain::conv(const std::string &name, const std::string &from, const Dims &dst,
                 std::istream &in)
{
    Dims kernel = read_dims(in, 2), stride = read_dims(in, 2), before = read_dims(in, 2),
         after = read_dims(in, 2), dilation = read_dims(in, 2);
    memory::dim groups;
    std::string activation, residual;
    in >> groups >> activation >> residual;
    memory src = value.at(from);
    Dims shape = src.get_desc().get_dims();
    Dims w = {dst[1], shape[1] / groups, kernel[0], kernel[1]};
    auto tag = memory::format_tag::oihw;
    if (groups > 1) {
        w = {groups, dst[1] / groups, shape[1] / groups, kernel[0], kernel[1]};
        tag = memory::format_tag::goihw;
    }
    post_ops ops;
    if (residual != "-")
        ops.append_sum(1.0f);
    append(ops, activation);
    for (auto &d : dilation)
        d--;
    memory weights = parameters(w, tag), bias = parameters({dst[1]}, memory::format_tag::x);
    memory::desc out = residual == "-" ? memory::desc(dst, f32, any)
                                       : value.at(residual).get_desc();
    convolution_forward::primitive_desc pd(
        engine_, prop_kind::forward_inference, algorithm::convolution_direct,
        memory::desc(shape, f32, any), memory::desc(w, f32, any), bias.get_desc(), out, stride,
        dilation, before, after, attributes(ops));
    memory result = residual == "-" ? memory(pd.dst_desc(), engine_) : value.at(residual);
    src = moved(src, pd.src_desc(), true);
    add_step(convolution_forward(pd), {{DNNL_ARG_SRC, src},
                                       {DNNL_ARG_WEIGHTS, moved(weights, pd.weights_desc(), false)},
                                       {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, result}});
    value[name] = result;
}

void Chain::linear(const std::string &name, const std::string &from, const Dims &dst,
                   std::istream &in)
{
    std::string activation;
    in >> activation;
    memory src = value.at(from);
    Dims shape = src.get_desc().get_dims(), w = shape;
    w[0] = dst[1];
    post_ops ops;
    append(ops, activation);
    bool flat = shape.size() == 2;
    memory weights = parameters(w, flat ? memory::format_tag::oi : memory::format_tag::oihw);
    memory bias = parameters({dst[1]}, memory::format_tag::x);
    inner_product_forward::primitive_desc pd(
        engine_, prop_kind::forward_inference, memory::desc(shape, f32, any),
        memory::desc(w, f32, any), bias.get_desc(),
        memory::desc({batch, dst[1]}, f32, memory::format_tag::nc), attributes(ops));
    src = moved(src, pd.src_desc(), true);
    value[name] = memory(pd.dst_desc(), engine_);
    add_step(inner_product_forward(pd),
             {{DNNL_ARG_SRC, src}, {DNNL_ARG_WEIGHTS, moved(weights, pd.weights_desc(), false)},
              {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, value[name]}});
}

void Chain::pool(const std::string &name, const std::string &from, const Dims &dst, algorithm how,
                 const Dims &kernel, const Dims &stride, const Dims &before, const Dims &after)
{
    memory src = value.at(from);
    pooling_forward::primitive_desc pd(engine_, prop_kind::forward_inference, how, src.get_desc(),
                                       memory::desc(dst, f32, any), stride, kernel, {0, 0}, before,
                                       after);
    value[name] = memory(pd.dst_desc(), engine_);
    add_step(pooling_forward(pd), {{DNNL_ARG_SRC, src}, {DNNL_ARG_DST, value[name]}});
}

void Chain::lrn(const std::string &name, const std::string &from, std::istream &in)
{
    memory::dim size;
    float alpha, beta, k;
    in >> size >> alpha >> beta >> k;
    memory src = value.at(from);
    lrn_forward::primitive_desc pd(engine_, prop_kind::forward_inference,
                                   algorithm::lrn_across_channels, src.get_desc(), src.get_desc(),
                                   size, alpha, beta, k);
    value[name] = memory(pd.dst_desc(), engine_);
    add_step(lrn_forward(pd), {{DNNL_ARG_SRC, src}, {DNNL_ARG_DST, value[name]}});
}

/* add and concat. */
void Chain::join(const std::string &op, const std::string &name,
                 const std::vector<std::string> &from, std::istream &in)
{
    if (op == "concat") {
        std::vector<memory::desc> descs;
        Args args;
        for (size_t i = 0; i < from.size(); i++) {
            descs.push_back(value.at(from[i]).get_desc());
            args[DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i)] = value.at(from[i]);
        }
        concat::primitive_desc pd(engine_, 1, descs);
        args[DNNL_ARG_DST] = value[name] = memory(pd.dst_desc(), engine_);
        add_step(concat(pd), args);
        return;
    }
    std::string activation;
    in >> activation;
    post_ops ops;
    append(ops, activation);
    memory a = value.at(from.at(0)), b = moved(value.at(from.at(1)), a.get_desc(), true);
    binary::primitive_desc pd(engine_, algorithm::binary_add, a.get_desc(), b.get_desc(),
                              a.get_desc(), attributes(ops));
    value[name] = memory(pd.dst_desc(), engine_);
    add_step(binary(pd), {{DNNL_ARG_SRC_0, a}, {DNNL_ARG_SRC_1, b}, {DNNL_ARG_DST, value[name]}});
}

void Chain::read_step(const std::string &op, std::istream &in)
{
    std::string name;
    in >> name;
    if (op == "input") {
        Dims d = read_dims(in, 3);
        entry = value[name] = plain({batch, d[0], d[1], d[2]}, memory::format_tag::nchw);
        return;
    }
    if (op == "output") {
        memory last = value.at(name);
        Dims d = last.get_desc().get_dims();
        auto tag = d.size() == 2 ? memory::format_tag::nc : memory::format_tag::nchw;
        exit = moved(last, memory::desc(d, f32, tag), true);
        return;
    }
    size_t n;
    in >> n;
    std::vector<std::string> from(n);
    for (auto &f : from)
        in >> f;
    Dims dst = read_dims(in, 3);
    dst.insert(dst.begin(), batch);
    if (op == "conv") {
        conv(name, from.at(0), dst, in);
    } else if (op == "linear") {
        linear(name, from.at(0), dst, in);
    } else if (op == "maxpool") {
        Dims kernel = read_dims(in, 2), stride = read_dims(in, 2), before = read_dims(in, 2);
        pool(name, from.at(0), dst, algorithm::pooling_max, kernel, stride, before,
             read_dims(in, 2));
    } else if (op == "global_avgpool") {
        Dims all = value.at(from.at(0)).get_desc().get_dims();
        pool(name, from.at(0), dst, algorithm::pooling_avg_exclude_padding, {all[2], all[3]},
             {1, 1}, {0, 0}, {0, 0});
    } else if (op == "lrn") {
        lrn(name, from.at(0), in);
    } else {
        join(op, name, from, in);
    }
}

Chain::Chain(const std::string &stem, memory::dim items)
    : batch(items), raw(stem + ".raw", std::ios::binary)
{
    std::ifstream text(stem + ".chain");
    std::string line, op;
    if (!text || !raw)
        throw std::runtime_error("cannot read " + stem);
    while (std::getline(text, line)) {
        std::istringstream in(line);
        in >> op;
        read_step(op, in);
    }
    stream_.wait();
}

void Chain::load_input(const char *path)
{
    std::ifstream file(path, std::ios::binary);
    file.read(static_cast<char *>(entry.get_data_handle()),
              static_cast<std::streamsize>(entry.get_desc().get_size()));
    if (!file)
        throw std::runtime_error(std::string("cannot read ") + path);
}

void Chain::store_output(const char *path)
{
    std::ofstream file(path, std::ios::binary);
    file.write(static_cast<const char *>(exit.get_data_handle()),
               static_cast<std::streamsize>(exit.get_desc().get_size()));
}

int main(int argc, char **argv)
try {
    if (argc != 5)
        throw std::runtime_error("usage: peers_onednn STEM BATCH INPUT.f32 OUTPUT.f32");
    Chain chain(argv[1], std::atol(argv[2]));
    chain.load_input(argv[3]);
    chain.run();
    chain.store_output(argv[4]);
    std::printf("version %d.%d\nprecision f32\nready\n", version()->major, version()->minor);
    std::fflush(stdout);
    char line[64];
    while (std::fgets(line, sizeof line, stdin)) {
        double start = now_seconds();
        chain.run();
        std::printf("%.6f\n", (now_seconds() - start) * 1e3);
        std::fflush(stdout);
    }
    return 0;
} catch (const std::exception &e) {
    std::fprintf(stderr, "peers_onednn: %s\n", e.what());
    return 1;
}
