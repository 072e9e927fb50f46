/* An external TFLite delegate that takes float additions, for tests.
 *
 * It is a real one: a TFLite engine loads it with dlopen, lets it choose nodes, and calls it for
 * them. It is built without TFLite's headers; the structures below are those of TFLite's stable C
 * ABI (tensorflow/lite/core/c/common.h and external_delegate_interface.h), cut after the last field
 * that is used here.
 *
 * Options:  fail=create | prepare | invoke    fail at that moment
 *           crash=create | prepare | invoke   kill the process at that moment
 *           take=none                         claim no node at all
 *           sums=wrong                        answer sums that are 1 too high
 *           record=PATH                       append every option that it is given, a line each
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, ERROR = 1 };
enum { FLOAT32 = 1 };              /* TfLiteType */
enum { ADD = 0, DELEGATE = 51 };   /* TfLiteBuiltinOperator */
enum { NO_ACTIVATION = 0 };        /* TfLiteFusedActivation, the first field of TfLiteAddParams */

typedef struct { int size; int data[]; } IntArray;
typedef struct Context Context;
typedef struct Delegate Delegate;

typedef struct {
  int type;
  union { float *f; void *raw; } data;
  IntArray *dims;
  struct { float scale; int32_t zero_point; } params;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  Delegate *delegate;
  int buffer_handle;
  bool data_is_stale, is_variable;
  struct { int type; void *params; } quantization;
  void *sparsity;
  const IntArray *dims_signature;
} Tensor;

typedef struct {
  IntArray *inputs, *outputs, *intermediates, *temporaries;
  void *user_data, *builtin_data;
  const void *custom_initial_data;
  int custom_initial_data_size;
  Delegate *delegate;
  bool might_have_side_effect;
} Node;

typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, Node *);
  int (*invoke)(Context *, Node *);
  const char *(*profiling_string)(const Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *registration_external, *async_kernel;
  uint64_t inplace_operator;
} Registration;

struct Context {
  size_t tensors_size;
  int (*GetExecutionPlan)(Context *, IntArray **);
  Tensor *tensors;
  void *impl;
  int (*ResizeTensor)(Context *, Tensor *, IntArray *);
  void (*ReportError)(Context *, const char *, ...);
  int (*AddTensors)(Context *, int, int *);
  int (*GetNodeAndRegistration)(Context *, int, Node **, Registration **);
  int (*ReplaceNodeSubsetsWithDelegateKernels)(Context *, Registration, const IntArray *,
                                               Delegate *);
};

struct Delegate {
  void *data;
  int (*Prepare)(Context *, Delegate *);
  void *CopyFromBufferHandle, *CopyToBufferHandle, *FreeBufferHandle;
  int64_t flags;
  void *opaque_delegate_builder;
};

typedef struct { Delegate *delegate; IntArray *nodes, *inputs, *outputs; } Partition;

/* What the options ask for; kept in Delegate.data. */
typedef struct {
  bool fail_prepare, fail_invoke, crash_prepare, crash_invoke, take_none;
  float too_high;
} Options;

/* One partition: the additions in it, by tensor index. */
typedef struct { int left, right, sum; } Addition;
typedef struct { bool fail, crash; float too_high; int count; Addition additions[]; } Kernel;

static void *kernel_init(Context *context, const char *buffer, size_t length) {
  (void)length;
  const Partition *partition = (const Partition *)buffer;
  int count = partition->nodes->size;
  Kernel *kernel = malloc(sizeof *kernel + (size_t)count * sizeof *kernel->additions);
  const Options *options = partition->delegate->data;
  kernel->fail = options->fail_invoke;
  kernel->crash = options->crash_invoke;
  kernel->too_high = options->too_high;
  kernel->count = count;
  for (int i = 0; i < count; i++) {
    Node *node;
    Registration *registration;
    context->GetNodeAndRegistration(context, partition->nodes->data[i], &node, &registration);
    kernel->additions[i] =
        (Addition){node->inputs->data[0], node->inputs->data[1], node->outputs->data[0]};
  }
  return kernel;
}

static void kernel_free(Context *context, void *kernel) {
  (void)context;
  free(kernel);
}

static int kernel_prepare(Context *context, Node *node) {
  (void)context, (void)node;
  return OK;
}

static int kernel_invoke(Context *context, Node *node) {
  const Kernel *kernel = node->user_data;
  if (kernel->crash) raise(SIGSEGV);
  if (kernel->fail) {
    context->ReportError(context, "stub: the device went away");
    return ERROR;
  }
  for (int i = 0; i < kernel->count; i++) {
    const Addition *addition = &kernel->additions[i];
    const Tensor *left = &context->tensors[addition->left];
    const Tensor *right = &context->tensors[addition->right];
    Tensor *sum = &context->tensors[addition->sum];
    for (size_t at = 0; at < sum->bytes / sizeof(float); at++)
      sum->data.f[at] = left->data.f[at] + right->data.f[at] + kernel->too_high;
  }
  return OK;
}

static bool among(const IntArray *some, int wanted) {
  for (int i = 0; i < some->size; i++)
    if (some->data[i] == wanted) return true;
  return false;
}

/* Whether a node is an addition that kernel_invoke can do. */
static bool can_take(const Context *context, const Node *node, const Registration *registration) {
  if (registration->builtin_code != ADD) return false;
  const Tensor *left = &context->tensors[node->inputs->data[0]];
  const Tensor *right = &context->tensors[node->inputs->data[1]];
  return left->type == FLOAT32 && left->bytes == right->bytes &&
         *(const int *)node->builtin_data == NO_ACTIVATION;
}

static int delegate_prepare(Context *context, Delegate *delegate) {
  const Options *options = delegate->data;
  if (options->crash_prepare) raise(SIGSEGV);
  if (options->fail_prepare) {
    context->ReportError(context, "stub: the graph does not fit");
    return ERROR;
  }
  IntArray *plan;
  if (context->GetExecutionPlan(context, &plan) != OK) return ERROR;
  size_t room = sizeof(IntArray) + (size_t)plan->size * sizeof(int);
  IntArray *taken = calloc(1, room), *sums = calloc(1, room);
  for (int i = 0; i < plan->size && !options->take_none; i++) {
    Node *node;
    Registration *registration;
    context->GetNodeAndRegistration(context, plan->data[i], &node, &registration);
    if (!can_take(context, node, registration)) continue;
    /* A sum that only another addition reads would lie inside the partition, without memory. */
    if (among(sums, node->inputs->data[0]) || among(sums, node->inputs->data[1])) continue;
    taken->data[taken->size++] = plan->data[i];
    sums->data[sums->size++] = node->outputs->data[0];
  }
  Registration kernel = {
      .init = kernel_init,
      .free = kernel_free,
      .prepare = kernel_prepare,
      .invoke = kernel_invoke,
      .builtin_code = DELEGATE,
      .custom_name = "StubDelegate",
      .version = 1,
  };
  int result =
      context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, taken, delegate);
  free(taken);
  free(sums);
  return result;
}

static void record(const char *path, char **keys, char **values, size_t count) {
  FILE *file = fopen(path, "a");
  if (file == NULL) return;
  for (size_t i = 0; i < count; i++) fprintf(file, "%s=%s\n", keys[i], values[i]);
  fclose(file);
}

void *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                    void (*report_error)(const char *)) {
  Options options = {0};
  for (size_t i = 0; i < count; i++)
    if (strcmp(keys[i], "record") == 0) record(values[i], keys, values, count);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(keys[i], "crash") == 0 && strcmp(values[i], "create") == 0) raise(SIGSEGV);
    options.crash_prepare |= strcmp(keys[i], "crash") == 0 && strcmp(values[i], "prepare") == 0;
    options.crash_invoke |= strcmp(keys[i], "crash") == 0 && strcmp(values[i], "invoke") == 0;
    if (strcmp(keys[i], "sums") == 0 && strcmp(values[i], "wrong") == 0) options.too_high = 1;
    if (strcmp(keys[i], "fail") == 0 && strcmp(values[i], "create") == 0) {
      report_error("stub: there is no device");
      return NULL;
    }
    options.fail_prepare |= strcmp(keys[i], "fail") == 0 && strcmp(values[i], "prepare") == 0;
    options.fail_invoke |= strcmp(keys[i], "fail") == 0 && strcmp(values[i], "invoke") == 0;
    options.take_none |= strcmp(keys[i], "take") == 0 && strcmp(values[i], "none") == 0;
  }
  Delegate *delegate = calloc(1, sizeof *delegate);
  delegate->data = malloc(sizeof options);
  memcpy(delegate->data, &options, sizeof options);
  delegate->Prepare = delegate_prepare;
  return delegate;
}

void tflite_plugin_destroy_delegate(void *delegate) {
  if (delegate == NULL) return;
  free(((Delegate *)delegate)->data);
  free(delegate);
}
