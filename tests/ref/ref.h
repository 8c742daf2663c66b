/* ref: what the operators mean, once more and independently. Straightforward loops in double over
 * flat row-major arrays; nothing here includes or imitates compiler/ops, so that a wrong
 * definition there cannot confirm itself.
 *
 * Every array is [n, c, h, w] (one-dimensional layers have h = 1) and belongs to the caller.
 */
#ifndef NET2C_REF_H
#define NET2C_REF_H

typedef struct RefWindow {
    int n, ih, iw;                        /* input */
    int kh, kw, sh, sw, dh, dw;           /* kernel, stride, dilation */
    int top, left, bottom, right;         /* padding */
    int ceil;                             /* pooling: a last window that fits in part counts too */
} RefWindow;

/* Output height and width of a window; less than 1 if it does not fit. In ceil mode no window
 * begins in the padding at the end. */
int ref_out_h(const RefWindow *w);
int ref_out_w(const RefWindow *w);

/* y[n, oc, oy, ox] = b[oc] + sum x[n, ic, oy*sh + ky*dh - top, ox*sw + kx*dw - left]
 *                             * w[oc, ic, ky, kx];
 * w has ic/groups input channels; b may be NULL. */
void ref_conv(const RefWindow *p, int ic, int oc, int groups, const double *x, const double *w,
              const double *b, double *y);

/* The largest of the window; padding never wins (it counts as -infinity); NaN wins. */
void ref_maxpool(const RefWindow *p, int channels, const double *x, double *y);

/* The mean of the window, of the padded input's elements (padding is 0) or of the input's alone;
 * what lies beyond the padding (ceil mode) never counts. */
void ref_avgpool(const RefWindow *p, int channels, int count_pad, const double *x, double *y);

/* y[i, j, k] = a[i, j, k] for j < n_a, else b[i, j - n_a, k]: arrays [outer, n_a or n_b, inner]. */
void ref_concat(int outer, int n_a, int n_b, int inner, const double *a, const double *b,
                double *y);

/* A border of `value` around each of the planes [p->ih, p->iw]. */
void ref_pad(const RefWindow *p, int planes, double value, const double *x, double *y);

/* y[r, o] = b[o] + sum x[r, i] * w[o, i]; b may be NULL. */
void ref_linear(int rows, int in, int out, const double *x, const double *w, const double *b,
                double *y);

/* y[c] = x[c] / (k + alpha/size * sum x[j]^2)^beta, j from c - size/2 to c + (size-1)/2, clipped;
 * pixels = h * w. */
void ref_lrn(int n, int channels, int pixels, int size, double alpha, double beta, double k,
             const double *x, double *y);

/* Along the middle axis of [outer, axis, inner]. */
void ref_softmax(int outer, int axis, int inner, const double *x, double *y);
void ref_log_softmax(int outer, int axis, int inner, const double *x, double *y);

/* Any rank up to 6: y has the shape that axis d of x, perm[d] of it, gives; y = mean over the axes
 * where reduced[d]; y[i] = x[i] with x's axes of extent 1 stretched to dim. */
void ref_transpose(int rank, const int *dim, const int *perm, const double *x, double *y);
void ref_reduce_mean(int rank, const int *dim, const int *reduced, const double *x, double *y);
void ref_stretch(int rank, const int *dim, const int *from, const double *x, double *y);

/* NaN stays NaN. */
void ref_relu(int count, const double *x, double *y);
void ref_leaky_relu(int count, double slope, const double *x, double *y);
void ref_tanh(int count, const double *x, double *y);
void ref_sigmoid(int count, const double *x, double *y);
void ref_clip(int count, double low, double high, const double *x, double *y);
void ref_add(int count, const double *a, const double *b, double *y);
void ref_sub(int count, const double *a, const double *b, double *y);
void ref_mul(int count, const double *a, const double *b, double *y);

/* y[n, c, p] = (x[n, c, p] - mean[c]) / sqrt(var[c] + eps) * w[c] + b[c]; pixels = h * w. */
void ref_batchnorm(int n, int channels, int pixels, double eps, const double *mean,
                   const double *var, const double *w, const double *b, const double *x,
                   double *y);

#endif
