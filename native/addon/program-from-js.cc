#include "program-from-js.h"

#include <functional>
#include <map>

#include "core/error.h"
#include "core/plain.h"

namespace resnode {
namespace {

int64_t integer(const Napi::Object& object, const char* name) { return object.Get(name).ToNumber().Int64Value(); }
uint32_t word(const Napi::Object& object, const char* name) { return object.Get(name).ToNumber().Uint32Value(); }
float real(const Napi::Object& object, const char* name) { return object.Get(name).ToNumber().FloatValue(); }
std::string text(const Napi::Object& object, const char* name) { return object.Get(name).ToString().Utf8Value(); }
bool boolean(const Napi::Object& object, const char* name) { return object.Get(name).ToBoolean().Value(); }
bool isNull(const Napi::Value& value) { return value.IsNull() || value.IsUndefined(); }

template <class T>
std::vector<T> numbers(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<T> result;
  for (uint32_t i = 0; i < array.Length(); ++i) result.push_back(static_cast<T>(array.Get(i).ToNumber().DoubleValue()));
  return result;
}

Pair pair(const Napi::Object& object, const char* name) {
  const auto values = numbers<int64_t>(object.Get(name));
  return {values.at(0), values.at(1)};
}

std::optional<FusedRelu> relu(const Napi::Object& object) {
  const Napi::Value value = object.Get("relu");
  if (isNull(value)) return std::nullopt;
  return FusedRelu{real(value.As<Napi::Object>(), "negativeSlope")};
}

std::optional<ParameterId> optionalId(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (isNull(value)) return std::nullopt;
  return value.ToNumber().Int32Value();
}

ParameterId id(const Napi::Object& object, const char* name) { return object.Get(name).ToNumber().Int32Value(); }

std::optional<int64_t> ignoreLabel(const Napi::Object& object) {
  const Napi::Value value = object.Get("ignoreLabel");
  if (isNull(value)) return std::nullopt;
  return value.ToNumber().Int64Value();
}

Normalization normalization(const std::string& name) {
  if (name == "full") return Normalization::full;
  if (name == "batchSize") return Normalization::batchSize;
  return name == "none" ? Normalization::none : Normalization::valid;
}

UpdateRule updateRule(const std::string& name) {
  if (name == "nesterov") return UpdateRule::nesterov;
  if (name == "adagrad") return UpdateRule::adaGrad;
  if (name == "rmsprop") return UpdateRule::rmsProp;
  if (name == "adadelta") return UpdateRule::adaDelta;
  return name == "adam" ? UpdateRule::adam : UpdateRule::sgd;
}

Attributes update(const Napi::Object& object) {
  Update update{updateRule(text(object, "rule")), real(object, "momentum"), real(object, "momentum2"), real(object, "delta"),
                real(object, "rmsDecay"), std::nullopt, integer(object, "iterSize"), real(object, "lossScale"), real(object, "weightDecay"),
                text(object, "regularization") == "L1" ? Regularization::l1 : Regularization::l2, {}};
  if (!isNull(object.Get("clipGradients"))) update.clipGradients = real(object, "clipGradients");
  const Napi::Array parameters = object.Get("parameters").As<Napi::Array>();
  for (uint32_t i = 0; i < parameters.Length(); ++i) {
    const Napi::Object each = parameters.Get(i).As<Napi::Object>();
    update.parameters.push_back({id(each, "parameter"), numbers<ParameterId>(each.Get("history")), optionalId(each, "accumulator"),
                                 real(each, "lrMult"), real(each, "decayMult")});
  }
  return update;
}

using Reader = std::function<Attributes(const Napi::Object&)>;

const std::map<std::string, Reader>& readers() {
  static const std::map<std::string, Reader> table = {
      {"convolution",
       [](const Napi::Object& o) -> Attributes {
         return Convolution{id(o, "weights"), optionalId(o, "bias"), pair(o, "kernel"), pair(o, "stride"),
                            pair(o, "pad"), pair(o, "dilation"), integer(o, "group"), relu(o)};
       }},
      {"innerProduct",
       [](const Napi::Object& o) -> Attributes {
         return InnerProduct{id(o, "weights"), optionalId(o, "bias"), integer(o, "axis"), integer(o, "numOutput"),
                             boolean(o, "transpose"), relu(o)};
       }},
      {"scale",
       [](const Napi::Object& o) -> Attributes {
         const std::string operand = text(o, "operand");
         return Scale{operand == "scale"  ? ScaleOperand::scale
                      : operand == "bias" ? ScaleOperand::bias
                                          : ScaleOperand::none,
                      optionalId(o, "scale"), optionalId(o, "bias"), integer(o, "outer"), integer(o, "channels"),
                      integer(o, "inner"), relu(o)};
       }},
      {"batchNorm",
       [](const Napi::Object& o) -> Attributes {
         return BatchNorm{id(o, "mean"), id(o, "variance"), id(o, "factor"), real(o, "eps"), real(o, "movingAverageFraction"),
                          text(o, "statistics") == "global", boolean(o, "update"), boolean(o, "synchronised"), optionalId(o, "scale"), optionalId(o, "bias"), relu(o)};
       }},
      {"relu", [](const Napi::Object& o) -> Attributes { return Relu{real(o, "negativeSlope")}; }},
      {"elu", [](const Napi::Object& o) -> Attributes { return Elu{real(o, "alpha")}; }},
      {"sigmoid", [](const Napi::Object&) -> Attributes { return Sigmoid{}; }},
      {"tanh", [](const Napi::Object&) -> Attributes { return Tanh{}; }},
      {"absval", [](const Napi::Object&) -> Attributes { return AbsVal{}; }},
      {"power", [](const Napi::Object& o) -> Attributes { return Power{real(o, "power"), real(o, "scale"), real(o, "shift")}; }},
      {"prelu", [](const Napi::Object& o) -> Attributes { return PRelu{id(o, "slope"), boolean(o, "channelShared")}; }},
      {"dropout",
       [](const Napi::Object& o) -> Attributes {
         return Dropout{real(o, "ratio"), word(o, "seed"), word(o, "stream"), word(o, "rank")};
       }},
      {"eltwise",
       [](const Napi::Object& o) -> Attributes {
         const std::string operation = text(o, "operation");
         return Eltwise{operation == "prod"  ? EltwiseKind::prod
                        : operation == "max" ? EltwiseKind::max
                                             : EltwiseKind::sum,
                        numbers<float>(o.Get("coefficients")), boolean(o, "stableProdGrad"), relu(o)};
       }},
      {"pooling",
       [](const Napi::Object& o) -> Attributes {
         return Pooling{text(o, "method") == "max" ? PoolingMethod::max : PoolingMethod::average, pair(o, "kernel"),
                        pair(o, "stride"), pair(o, "pad")};
       }},
      {"softmax",
       [](const Napi::Object& o) -> Attributes { return Softmax{integer(o, "outer"), integer(o, "channels"), integer(o, "inner")}; }},
      {"softmaxLoss",
       [](const Napi::Object& o) -> Attributes {
         return SoftmaxLoss{integer(o, "outer"), integer(o, "channels"), integer(o, "inner"), ignoreLabel(o),
                            normalization(text(o, "normalization"))};
       }},
      {"euclideanLoss", [](const Napi::Object&) -> Attributes { return EuclideanLoss{}; }},
      {"accuracy",
       [](const Napi::Object& o) -> Attributes {
         return Accuracy{integer(o, "topK"), integer(o, "outer"), integer(o, "channels"), integer(o, "inner"), ignoreLabel(o)};
       }},
      {"concat", [](const Napi::Object& o) -> Attributes { return Concat{integer(o, "axis")}; }},
      {"slice", [](const Napi::Object& o) -> Attributes { return Slice{integer(o, "axis")}; }},
      {"reshape", [](const Napi::Object&) -> Attributes { return Reshape{}; }},
      {"lrn",
       [](const Napi::Object& o) -> Attributes {
         return Lrn{text(o, "region") == "across" ? LrnRegion::across : LrnRegion::within, integer(o, "size"),
                    real(o, "alpha"), real(o, "beta"), real(o, "k")};
       }},
      {"gradient", [](const Napi::Object& o) -> Attributes { return Gradient{id(o, "of")}; }},
      {"allMean", [](const Napi::Object&) -> Attributes { return AllMean{}; }},
      {"update", update},
  };
  return table;
}

// `lowest`: −1 where an id may stand for nothing.
void checkIds(const std::vector<int32_t>& ids, size_t count, const std::string& where, int32_t lowest = 0) {
  for (int32_t each : ids) {
    if (each < lowest || each >= static_cast<int64_t>(count)) {
      throw Error("program/invalid", where + ": id " + std::to_string(each) + " is not below " + std::to_string(count));
    }
  }
}

// A gradient has a place for all that its operation reads and makes, and for every diff.
void checkPlaces(const Program& program, const Operation& operation) {
  const auto expect = [&](const char* what, size_t found, size_t expected) {
    if (found == expected) return;
    throw Error("program/invalid", operation.layer + ": " + std::to_string(found) + " " + what + " where " + std::to_string(expected) + " belong");
  };
  if (const auto* gradient = std::get_if<Gradient>(&operation.attributes)) {
    checkIds({gradient->of}, program.operations.size(), operation.layer);
    const Operation& forward = program.operations[gradient->of];
    expect("inputs", operation.inputs.size(), forward.inputs.size() + 2 * forward.outputs.size());
    expect("outputs", operation.outputs.size(), forward.inputs.size() + learnedPlaces(forward));
  }
  if (const auto* update = std::get_if<Update>(&operation.attributes)) {
    const size_t places = 1 + update->parameters.size();
    expect("inputs", std::min(operation.inputs.size(), places), places);
    checkIds({operation.inputs[0]}, program.tensors.size(), operation.layer);
    checkIds({operation.inputs.begin() + static_cast<std::ptrdiff_t>(places), operation.inputs.end()}, program.tensors.size(), operation.layer);
    const size_t histories = update->rule == UpdateRule::adam || update->rule == UpdateRule::adaDelta ? 2 : 1;
    for (const UpdatedParameter& each : update->parameters) expect("histories", each.history.size(), histories);
  }
}

}  // namespace

std::shared_ptr<const Program> programFromJs(const Napi::Object& source, std::shared_ptr<Communicator> communicator) {
  auto program = std::make_shared<Program>();
  program->name = text(source, "name");
  program->communicator = std::move(communicator);
  const Napi::Array tensors = source.Get("tensors").As<Napi::Array>();
  for (uint32_t i = 0; i < tensors.Length(); ++i) {
    const Napi::Object tensor = tensors.Get(i).As<Napi::Object>();
    program->tensors.push_back({text(tensor, "name"), numbers<int64_t>(tensor.Get("shape"))});
  }
  const Napi::Array parameters = source.Get("parameters").As<Napi::Array>();
  for (uint32_t i = 0; i < parameters.Length(); ++i) {
    const Napi::Object parameter = parameters.Get(i).As<Napi::Object>();
    program->parameters.push_back({text(parameter, "name"), numbers<int64_t>(parameter.Get("shape")), boolean(parameter, "mutable")});
  }
  const Napi::Array operations = source.Get("operations").As<Napi::Array>();
  for (uint32_t i = 0; i < operations.Length(); ++i) {
    const Napi::Object object = operations.Get(i).As<Napi::Object>();
    const std::string kind = text(object, "kind");
    const auto reader = readers().find(kind);
    if (reader == readers().end()) throw Error("program/invalid", "unknown operation kind \"" + kind + "\"");
    Operation operation{text(object, "layer"), numbers<TensorId>(object.Get("inputs")),
                        numbers<TensorId>(object.Get("outputs")), reader->second(object)};
    checkPlaces(*program, operation);
    const bool hasGaps = std::holds_alternative<Gradient>(operation.attributes) || std::holds_alternative<AllMean>(operation.attributes) ||
                         std::holds_alternative<Update>(operation.attributes);
    const int32_t lowest = hasGaps ? -1 : 0;
    checkIds(operation.inputs, program->tensors.size(), operation.layer, lowest);
    checkIds(operation.outputs, program->tensors.size(), operation.layer, lowest);
    checkIds(parametersOf(*program, operation), program->parameters.size(), operation.layer);
    program->operations.push_back(std::move(operation));
  }
  program->inputs = numbers<TensorId>(source.Get("inputs"));
  program->outputs = numbers<TensorId>(source.Get("outputs"));
  checkIds(program->inputs, program->tensors.size(), "inputs");
  checkIds(program->outputs, program->tensors.size(), "outputs");
  return program;
}

}  // namespace resnode
