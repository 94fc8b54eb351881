/* A device that learns to read digits.

   It begins with random weights. A thousand digits arrive from the file "learn.bin", a few at a time, PASSES times over; after
   each few it makes a step of training. Then it names those of "test.bin", and writes down how many it named right and all that
   it has learned. Nothing is allocated: the arrays below are all the memory there is, but for the stack. */
#include "classify.h"
#include "device.h"
#include "learn.h"

enum { PIXELS = 64, BATCH = 5, PASSES = 5, LEARN = 1000, TEST = 200 };

typedef struct {
    uint8_t pixels[BATCH][PIXELS];
    uint8_t labels[BATCH];
} digits;

typedef struct {
    int32_t status, right;
    float loss; /* of the last step */
} report;

static learn_state state; /* weights, and what the optimiser keeps */
static digits batch;
static report result;
static union {
    unsigned char learn[LEARN_ARENA_BYTES], classify[CLASSIFY_ARENA_BYTES];
    int64_t aligned;
} arena;

static int train(void)
{
    const learn_inputs inputs = {&batch.pixels[0][0], batch.labels};
    const learn_outputs outputs = {&result.loss};
    const learn_variables variables = LEARN_VARIABLES(state);
    int pass, i, status = learn_initialize(&variables);
    for (pass = 0; pass < PASSES && status == LEARN_OK; ++pass) {
        const int file = device_open("learn.bin", 0);
        for (i = 0; i < LEARN / BATCH && status == LEARN_OK; ++i) {
            if (file < 0 || !device_read(file, &batch, sizeof batch))
                return -1;
            status = learn(&inputs, &outputs, &variables, &arena, sizeof arena);
        }
        device_close(file);
        device_say(".");
    }
    return status;
}

static int test(void)
{
    int64_t named[BATCH];
    const classify_inputs inputs = {&batch.pixels[0][0]};
    const classify_outputs outputs = {named};
    const classify_variables variables = CLASSIFY_VARIABLES(state); /* those of its name: the weights */
    const int file = device_open("test.bin", 0);
    int i, j, status = CLASSIFY_OK;
    for (i = 0; i < TEST / BATCH && status == CLASSIFY_OK; ++i) {
        if (file < 0 || !device_read(file, &batch, sizeof batch))
            return -1;
        status = classify(&inputs, &outputs, &variables, &arena, sizeof arena);
        for (j = 0; j < BATCH; ++j)
            result.right += named[j] == batch.labels[j];
    }
    device_close(file);
    return status;
}

int main(void)
{
    int file, written;
    result.status = train();
    if (result.status == 0)
        result.status = test();
    file = device_open("learned.bin", 1);
    if (file < 0)
        return 1;
    written = device_write(file, &result, sizeof result) && device_write(file, &state, sizeof state);
    device_close(file);
    device_say("\n");
    return written && result.status == 0 ? 0 : 1;
}
