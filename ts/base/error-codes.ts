/**
 * All error codes: what each means, and the cure. Code with an unknown error code does not compile. `npm run errors-page`
 * writes docs/errors.md. Other modules import only types from here, so that no program loads the sentences.
 */
export const errorCodes = {
  'argument/invalid': [
    'An argument of a function, or a flag of the command, has an invalid value.',
    'The message names the argument, the expected values and the value that was given.',
  ],
  'bench/caffe-log': [
    'A text is not the output of `caffe time`.',
    'Let `caffe time` run until it prints "Benchmark ends", and give its whole output.',
  ],
  'bench/outputs-differ': [
    'Two ways to compute the same operation gave different results, so their times cannot be compared.',
    'The engine that the message names has an error; report it if that engine is resnode.',
  ],
  'bench/quantize': [
    'ONNX Runtime could not quantize a net for `resnode bench --precision int8`; the message has its error.',
    'Install onnxruntime and onnx for that Python (`pip install onnxruntime onnx`), or leave --python out.',
  ],
  'bench/report': [
    'A file is not a report of `resnode bench`.',
    'Give the file that `resnode bench --json` wrote.',
  ],
  'calibrate/no-convolutions': [
    'A net that is to be quantised has no convolution that int8 could speed up.',
    'Run it in float32.',
  ],
  'cam/no-global-average': [
    'A class activation map needs a net that ends in global average pooling and one InnerProduct.',
    'Give a net of that form, such as a ResNet.',
  ],
  'classifier/busy': [
    'The queue of images is full.',
    'Try again later (a server answers 503), or raise `maxQueue`.',
  ],
  'classifier/closed': [
    'The classifier was closed before the image was classified.',
    'Classify before `close()`, or open another one.',
  ],
  'classifier/not-finite': [
    'A probability is NaN.',
    'Check the weights for values that are not finite, and check that the preprocessing is the one used in training.',
  ],
  'communicator/failed': [
    'A call of MPI or NCCL failed, or one of the processes that train together left a pass.',
    "The message contains the library's own message, or the error of the other process. Check the network and that all processes run the same versions, and resume from the last snapshot.",
  ],
  'communicator/other-failed': [
    'Another process of this command or training ended.',
    'The error message of that process says why. Correct the cause and start all processes again.',
  ],
  'communicator/unavailable': [
    'MPI or NCCL, which connect several processes, cannot be opened.',
    'Install the library with the command that the message names.',
  ],
  'convert/layer': [
    'A layer of another framework has no equivalent in Caffe.',
    'Change the layer as the message says, or export the net as ONNX and convert that.',
  ],
  'convert/map': [
    'A map of names (`--map`) does not fit the net or the file.',
    'Give each layer of the net a list of tensors, as the message shows.',
  ],
  'convert/matconvnet': [
    'A MAT-file holds no net of MatConvNet that can be converted.',
    "Save the net's structure: `s = net.saveobj(); save('net.mat', '-struct', 's')`.",
  ],
  'convert/matconvnet-layer': [
    'A layer cannot be written for MatConvNet.',
    "Change the layer as the message says, or keep the net in Caffe's format.",
  ],
  'convert/missing': [
    'The target format stores weights, but the net has none.',
    'Give the net its caffemodel.',
  ],
  'convert/onnx': [
    'A layer cannot be written to ONNX.',
    "Change the layer as the message says, or keep the net in Caffe's format.",
  ],
  'convert/resnet': [
    'The tensors of a file are not those of a known ResNet.',
    'Give the weights of a torchvision or Keras ResNet; export other nets to ONNX.',
  ],
  'convert/tensor-type': [
    'A tensor has a type other than floats of 16, 32 or 64 bits.',
    'Save it as floats: `tensor.float()`.',
  ],
  'convert/tensorflow': [
    'A layer of the net has no counterpart among the names of a ResNet in TensorFlow.',
    "Give the layers the names of MSRA's ResNets: conv1, res2a_branch2a, bn2a_branch2a, scale2a_branch2a, fc1000.",
  ],
  'data/annotations': [
    'A file does not say where the objects in images are.',
    "Give a folder of PASCAL VOC's .xml files, or COCO's .json; the message says what is missing.",
  ],
  'data/augment': [
    'Augmentation by `shorterSide`, `resizedCrop`, `affine` or `jitter` needs images of bytes with up to 4 channels.',
    'Remove it for other data.',
  ],
  'data/batch': [
    "An iterator yielded a value that is not a batch of the net's inputs.",
    'Yield a Float32Array or Uint8Array of the expected size for each input.',
  ],
  'data/busy': [
    '`next()` was called before the previous call had returned its batch.',
    'Await the previous call first.',
  ],
  'data/cifar': [
    'The size of a CIFAR binary file is not a whole number of records.',
    'Download it again, and unpack it.',
  ],
  'data/datum': [
    'A record of a database is not a Datum of Caffe.',
    "Write the database again with `resnode dataset` or Caffe's tools.",
  ],
  'data/disposed': ['A data source was used after it was disposed.', 'Open another one.'],
  'data/empty': ['A database has no records.', 'Convert the images again with `resnode dataset`.'],
  'data/encode-type': [
    'An image that is neither JPEG nor PNG must be encoded.',
    'Give `encodeType` (`--encode-type`) jpg or png.',
  ],
  'data/ended': [
    'An iterator ended before training did.',
    'Give an iterator that does not end, or train for fewer iterations.',
  ],
  'data/exists': [
    'A database would overwrite an existing file or folder.',
    'Remove it, or give another name.',
  ],
  'data/hdf5': [
    'An HDF5 file of data cannot be opened, or lacks a data set.',
    'Write it again with a float data set for each top.',
  ],
  'data/hdf5-external': [
    'An HDF5 file of data keeps values in another file.',
    'Write it again with its values inside.',
  ],
  'data/hdf5-limit': [
    'An HDF5 file of data is larger or more deeply nested than the reader allows.',
    'Split it into several files.',
  ],
  'data/hdf5-unsupported': [
    'An HDF5 file of data uses a feature that resnode does not read.',
    "Write it again with h5py's defaults.",
  ],
  'data/idx': [
    "A file is not in MNIST's IDX format, or the images and labels do not belong together.",
    'Give the unpacked files of one data set.',
  ],
  'data/image': ['An image of a data set cannot be used.', 'Replace it, or remove its line.'],
  'data/key': [
    'LMDB takes keys of 1 to 511 bytes in rising order.',
    'Shorten the names, or let `resnode dataset` number them.',
  ],
  'data/label': ['A sample has no label.', "Write labels, or remove the data layer's second top."],
  'data/layer': [
    'A data layer lacks a field, names a file that does not exist, or has a type that resnode does not read.',
    'Complete the layer as the message says.',
  ],
  'data/leveldb': ['A LevelDB database is damaged.', 'Copy it again, or write the images anew.'],
  'data/leveldb-limit': [
    'The keys of a LevelDB database take more memory than the reader allows.',
    'Write it as LMDB with `resnode dataset`.',
  ],
  'data/list': [
    'A list of images or files is empty or has an invalid line.',
    'Write one `path label` per line.',
  ],
  'data/lmdb': ['An LMDB database is damaged.', 'Copy it again, or write the images anew.'],
  'data/log': [
    'A text contains no iteration of a training.',
    'Give a file that `resnode train --log` wrote, or the output of `caffe train`.',
  ],
  'data/not-found': [
    'A database, list or file of data does not exist.',
    'Check the path; relative paths begin at the folder where the command runs.',
  ],
  'data/order': [
    'Nothing says in which order raw images have their channels.',
    'Give the order in the way that the message names.',
  ],
  'data/size': ['Images or rows of one batch have different sizes.', 'Resize or crop them to one size.'],
  'data/state': [
    'The state of the data in a snapshot does not fit the current data.',
    'Resume with the data that was used when the snapshot was written.',
  ],
  'data/unreadable': ['A file of data cannot be read.', 'Check its permissions, or download it again.'],
  'data/windows': [
    "A window file of WindowData differs from R-CNN's format, or a window lies outside its image.",
    'The message names the line, what was found and what was expected.',
  ],
  'data/worker': [
    'A thread that reads data ended.',
    'The message says why; a common cause is too little memory.',
  ],
  'data/wrong-kind': [
    'A file is of another kind than the one needed.',
    'Give the kind that the message names.',
  ],
  'detector/busy': [
    'The queue of images is full.',
    'Try again later (a server answers 503), or raise `maxQueue`.',
  ],
  'detector/closed': [
    'The detector was closed before it processed the image.',
    'Detect before `close()`, or open another one.',
  ],
  'detector/no-head': [
    'A net has no outputs that resnode can read as boxes with classes.',
    "Give a deploy net that ends in SSD's DetectionOutput, in YOLO's, or in the class probabilities and the boxes of Faster R-CNN, R-FCN, MS-CNN or Cascade R-CNN; the message names what was found.",
  ],
  'detector/not-finite': [
    'A score or a box is NaN or infinite.',
    'Check the weights for values that are not finite, and check that the preprocessing is the one used in training.',
  ],
  'device/addon-missing': [
    'The native addon cannot be loaded.',
    'Follow the command in the message; `resnode doctor` shows details.',
  ],
  'device/bundled': [
    "A bundler copied resnode's code out of its package.",
    "Mark resnode as external in the bundler's configuration.",
  ],
  'device/closed': [
    'The thread that registered a layer in JavaScript ended before a run of the layer did.',
    'End the thread after its last result.',
  ],
  'device/disposed': [
    'A device, model, trainer or buffer was used after it was disposed.',
    'Use it before `dispose()`, or open another one.',
  ],
  'device/failed': [
    'A call of CUDA or cuDNN failed.',
    'The message names the call; `resnode doctor` checks the driver and the libraries.',
  ],
  'device/lost': [
    "An error ended the GPU's context: a fault of a program, of the GPU's memory or of a link, the end of the MPS server, or a GPU that fell off the bus (Xid 79).",
    "Dispose the device and start a new process. The message says what else may be necessary; `nvidia-smi` and `NVRM: Xid` in the system's log (`dmesg`) show details.",
  ],
  'device/out-of-memory': [
    'The device has too little memory.',
    'Use the largest batch that fits, which the message names, or run `resnode plan` to see where memory goes.',
  ],
  'device/too-large': [
    'An array is larger than this Node can hold.',
    'Use Node 22 or later, or a smaller batch.',
  ],
  'device/unavailable': [
    'The device cannot be opened.',
    'The message says what is missing and how to install it; `--device cpu` needs nothing else.',
  ],
  'device/unsupported': [
    'The device cannot compute this.',
    'Use the option, precision or device that the message names.',
  ],
  'evaluate/no-scores': [
    "The net's output is not a row of scores for each image.",
    'Give a deploy prototxt that ends in a classifier.',
  ],
  'features/no-row-per-image': [
    'The blob does not have one row per image.',
    'Choose a blob whose first dimension counts images.',
  ],
  'file/line-too-long': [
    'A list has a line that is longer than any path.',
    'Give a text file with one entry per line.',
  ],
  'file/not-found': ['The file does not exist.', 'Check the path.'],
  'file/special': [
    'A path names a FIFO, a socket or a device.',
    'Write the data to a file, and give that file.',
  ],
  'file/too-large': ['A file is larger than any valid file of its kind.', 'Check that it is the right file.'],
  'file/too-many-lines': ['A list has more lines than the reader allows.', 'Split it.'],
  'file/unreadable': ['A file cannot be read.', 'Check its permissions.'],
  'file/write': [
    'A file or folder cannot be written.',
    'Check that the folder exists, that you may write to it and that it has free space.',
  ],
  'graph/axis': [
    'A layer names an axis that its bottom does not have, or names it twice.',
    'Give an axis of the bottom.',
  ],
  'graph/base': [
    'The `base` of Exp or Log has no logarithm.',
    'Give a number above 0 (for Log a number other than 1), or −1 for e.',
  ],
  'graph/batch-norm-lr': [
    "BatchNorm's blobs have a learning rate.",
    'Write `param { lr_mult: 0 }` three times, or no `param`.',
  ],
  'graph/bn': ["A BN layer mixes fields of SegNet's layer and of PSPNet's.", 'Keep the fields of one.'],
  'graph/bottom-count': [
    'A layer has more or fewer bottoms than its type takes.',
    'Give the number of bottoms that the message names.',
  ],
  'graph/clip': ['`clip_param` lacks a bound.', 'Give both `min` and `max`.'],
  'graph/coefficients': [
    "Eltwise's `coeff` does not fit its bottoms or its operation.",
    'Give one coefficient for each bottom of a SUM, or none.',
  ],
  'graph/continuation': [
    'ContinuationIndicator does not say how many steps or sequences there are.',
    'Give `time_step`, and `batch_size` or a bottom.',
  ],
  'graph/correlation': [
    'Parameters of Correlation or Correlation1D are missing or invalid, or do not fit the bottoms.',
    'Change what the message names; a `pad` of `max_displacement` keeps the size.',
  ],
  'graph/crop': ['A crop extends beyond its bottom.', 'Use a smaller `offset`, or a smaller second bottom.'],
  'graph/detection-output': [
    'The parameters and bottoms of DetectionOutput do not fit each other.',
    'Change what the message names; locations, scores and priors must belong to the same boxes.',
  ],
  'graph/dilation': ['A `dilation` is invalid.', 'Give 1 or more, once or for height and width.'],
  'graph/dimensions': [
    'A bottom has the wrong number of dimensions.',
    'Feed the layer a blob N×C×H×W, or reshape it.',
  ],
  'graph/dropout-ratio': ['`dropout_ratio` is not at least 0 and below 1.', 'Write a share, such as 0.5.'],
  'graph/empty-selection': [
    'A Filter selects no item, but a layer needs at least one.',
    'Feed items of which at least one passes, or request outputs that have one row per item.',
  ],
  'graph/file': [
    'A file that a layer names cannot be read, or has another content.',
    'Put it into the working folder or beside the prototxt.',
  ],
  'graph/filler': ['A filler cannot fill its blob.', 'Change the field that the message names.'],
  'graph/force-backward': [
    '`force_backward` requires a diff that a layer does not have.',
    'Remove `force_backward`.',
  ],
  'graph/fork-type': [
    'A layer type belongs to a fork of Caffe.',
    "Replace it with BVLC's layers, if they can compute the same.",
  ],
  'graph/global-pooling': ['`global_pooling` is combined with a pad or a stride.', 'Remove pad and stride.'],
  'graph/group': [
    '`group` does not divide the channels.',
    "Choose a divisor of the bottom's channels and of `num_output`.",
  ],
  'graph/infogain-source': [
    'InfogainLoss has no matrix H.',
    'Give a third bottom, or `infogain_loss_param { source }`.',
  ],
  'graph/input-dim': ["Embed's `input_dim` is missing or below 1.", 'Give the number of rows.'],
  'graph/input-shape': [
    'The shape of an input is unknown or invalid.',
    'Give `input_param { shape { … } }`, or `--input-shape` (`inputShapes`).',
  ],
  'graph/javascript-layer': [
    'The functions of a JavaScript layer return an invalid result.',
    'Correct the function that the message names: `shapes` or `forward`.',
  ],
  'graph/kernel': [
    'A kernel size is missing, invalid or given twice.',
    'Give `kernel_size`, or `kernel_h` and `kernel_w`.',
  ],
  'graph/label-count': [
    'The number of labels of a loss does not match its scores.',
    'Feed the number of labels that the message names.',
  ],
  'graph/local-size': ["LRN's `local_size` is even.", 'Give an odd number.'],
  'graph/loss-extension': [
    '`target_smoothing` or `class_weight` of a loss has an invalid value.',
    'Give a share below 1, or one weight per class.',
  ],
  'graph/loss-tops': [
    'A loss has a second top, which Caffe refuses.',
    'Add a Softmax layer for the probabilities.',
  ],
  'graph/loss-weight': [
    'The number of `loss_weight` fields differs from the number of tops.',
    'Give one per top, or none.',
  ],
  'graph/multi-box-loss': [
    'The parameters and bottoms of MultiBoxLoss do not fit each other.',
    'Change what the message names; locations, scores and priors must belong to the same boxes.',
  ],
  'graph/no-batch-norm': [
    'No BatchNorm has batch statistics in phase TRAIN.',
    'Remove `use_global_stats: true` to measure new statistics.',
  ],
  'graph/no-classifier': [
    'The net does not have exactly one input of images.',
    'Give a deploy prototxt; `resnode print --deploy` makes it.',
  ],
  'graph/no-deploy': ['The net has no deploy form.', 'The message names the layer that prevents it.'],
  'graph/no-train': ['The net has no training form.', 'The message says what was expected of it.'],
  'graph/normalize': ['InfogainLoss takes no `normalize`.', 'Write `normalization`.'],
  'graph/num-axes': [
    "`num_axes` goes beyond the bottom's dimensions.",
    'Give a smaller number, or −1 for all.',
  ],
  'graph/num-output': ['`num_output` is missing or below 1.', 'Give the number of outputs.'],
  'graph/offset': [
    'The number of `offset` fields of a Crop differs from the number of cropped axes.',
    'Give one, or one for each axis.',
  ],
  'graph/other-parameters': [
    'Other input shapes would require other weights.',
    'Load the net again with `inputShapes`.',
  ],
  'graph/pad': [
    'A pad is invalid or larger than its window allows.',
    'Give a pad that is smaller than the kernel.',
  ],
  'graph/param-count': ['A layer has more `param` fields than blobs.', 'Remove the surplus.'],
  'graph/prior-box': [
    'A size, ratio, step or variance of PriorBox is invalid.',
    'Change the field that the message names.',
  ],
  'graph/propagate-down': [
    'The number of `propagate_down` fields differs from the number of bottoms.',
    'Give one per bottom, or none.',
  ],
  'graph/proposal': [
    'Parameters of anchors, regions or boxes are invalid.',
    'Change what the message names.',
  ],
  'graph/pyramid-height': ["SPP's `pyramid_height` is invalid.", 'Give the number of levels, 1 or more.'],
  'graph/range': [
    'A number in the parameters of a layer is out of its bounds, NaN or infinite.',
    'Give a number in the range that the message names.',
  ],
  'graph/regions': ['A pooling of regions lacks a size.', 'Give the fields that the message names.'],
  'graph/reorg': [
    'A Reorg has no stride, or its stride does not divide its bottom.',
    'Give a stride that divides the height and width.',
  ],
  'graph/reshape': [
    'Values cannot take the shape that Reshape specifies.',
    'Write dimensions whose product is that of the bottom; at most one may be −1.',
  ],
  'graph/resize': [
    'Interp or Upsample has no size, or an invalid one.',
    'Give the factor or the size that the message names.',
  ],
  'graph/selector': [
    "A Filter's selector changes as the net learns.",
    'Select by labels or other data, or only run the net without training it.',
  ],
  'graph/shape': [
    'The bottoms of a layer have shapes that do not fit each other.',
    'Change the layers before it, so that they agree.',
  ],
  'graph/shared-multiplier': [
    'Layers give a shared parameter different multipliers.',
    'Write the multiplier once, or the same one everywhere.',
  ],
  'graph/shared-shape': [
    'Layers share a parameter but need different shapes.',
    'Give each its own parameter, or the same shape.',
  ],
  'graph/slice-point': [
    "Slice's `slice_point` fields do not cut its axis into its tops.",
    'Give one fewer than there are tops, in rising order.',
  ],
  'graph/smooth-l1': ["SmoothL1Loss's `sigma` is not above 0.", 'Give a number above 0, such as 1.'],
  'graph/sparsify': ["Sparsify's `coef` or `thre` is below 0.", 'Give a number of 0 or more.'],
  'graph/stride': ['A stride is invalid or given twice.', 'Give 1 or more, once or for height and width.'],
  'graph/tiles': ["Tile's `tiles` is missing or below 1.", 'Give the number of repetitions.'],
  'graph/too-large': ["A blob would exceed Caffe's limits.", 'Use a smaller batch or image.'],
  'graph/too-small': ['A window does not fit its bottom.', 'Use a larger image, a smaller kernel, or a pad.'],
  'graph/top-count': [
    'A layer has more or fewer tops than its type takes.',
    'Give the number of tops that the message names.',
  ],
  'graph/top-k': [
    "Accuracy's `top_k` is larger than the number of classes.",
    'Give at most as many as there are classes.',
  ],
  'graph/top-twice': [
    'Two layers produce blobs of the same name.',
    'Rename one, or let the layer work in place if no other layer reads the blob.',
  ],
  'graph/unfed-input': [
    'Nothing feeds an input of the net to train.',
    'Use a data layer, or give an iterator.',
  ],
  'graph/unknown-blob': [
    'The net has no blob of that name.',
    'Use the nearest name, which the message gives, or list the blobs with `resnode summary`.',
  ],
  'graph/unknown-bottom': [
    'A layer reads a blob that no earlier layer produces.',
    'Correct the name, or the state (phase, stages) that excludes the layer that produces it.',
  ],
  'graph/unknown-type': ['The layer type does not exist.', 'Correct the spelling.'],
  'graph/unsupported': [
    'A layer uses a feature that resnode does not support.',
    'Use what the message says is supported.',
  ],
  'graph/unsupported-type': [
    'resnode does not run this layer type of Caffe.',
    'Replace the layer with supported ones.',
  ],
  'graph/untrained-layer': [
    'The test net has a layer with weights that the training net lacks.',
    'Give both nets the same layer.',
  ],
  'graph/yolo': [
    'The parameters and bottoms of a YOLO layer do not fit each other.',
    'Give what the message expected.',
  ],
  'image/channels': [
    'An image has channels or colours that nets do not accept.',
    'Convert it to grey, RGB or CMYK of 8 bits.',
  ],
  'image/depth': [
    'An image has samples of a type without an agreed range, such as floats.',
    'Scale them to 8 or 16 bits.',
  ],
  'image/dicom': [
    'A DICOM image has a form that resnode does not read: compressed, with several frames, with a palette or with tables.',
    'Write it uncompressed (`gdcmconv --raw IN OUT`), one frame per file; the message names the form.',
  ],
  'image/label-map': [
    'A file does not hold a class for each pixel.',
    'Give a PNG whose samples are the classes: with a palette, as in PASCAL VOC, or grey with 8 bits.',
  ],
  'image/mean': [
    'A mean file cannot be read, or does not hold a mean image.',
    'Give a .binaryproto of `compute_image_mean`, or an .npy of channels × height × width.',
  ],
  'image/none-left': ['All images were broken.', 'The errors before this one say why.'],
  'image/not-a-file': ['A path is a folder or something else that is not a file.', 'Give a file.'],
  'image/not-found': ['The image does not exist.', 'Check the path.'],
  'image/preprocess': [
    'A preprocessing file has an invalid field.',
    'Correct the field that the message names; docs/preprocess.md lists all fields.',
  ],
  'image/size': [
    'A net cannot run an image of that size: a kernel is larger than its input, or the shapes that a layer adds differ.',
    'Resize or pad the image (`resize`, `pad`; --resize, --pad); with `longestSide` and `multipleOf` the aspect ratio stays almost the same.',
  ],
  'image/timeout': ['An image was not decoded in time.', 'Raise `timeout`, or make the image smaller.'],
  'image/too-large': [
    'An image has more pixels or bytes than the limits allow.',
    'Raise `maxPixels` or `maxBytes` if you trust the image, or make it smaller.',
  ],
  'image/too-small': ['An image is smaller than the crop.', 'Resize it, or crop less.'],
  'image/unreadable': [
    'A file is not an image, or is damaged.',
    'Save it again as JPEG, PNG or another format that the message lists.',
  ],
  'image/wrong-kind': [
    'A file is of another kind than the one needed.',
    'Give the kind that the message names.',
  ],
  'keras/config': [
    "A whole model of Keras's does not describe a net.",
    'Save a functional or sequential model: `model.save("model.h5")`.',
  ],
  'keras/layout': ["A file of Keras's weights lacks a part.", 'Save it again with `model.save_weights`.'],
  'label/invalid': [
    'A label is not a class of the net.',
    'Count classes from 0, or give `num_output` the number of classes.',
  ],
  'layer/failed': [
    'A layer in JavaScript threw, or gave something else than its tops or diffs.',
    'The message says what; correct the function.',
  ],
  'matlab/format': [
    'A MAT-file is damaged, or has a form that resnode does not read.',
    'Save it again with -v7 or -v7.3.',
  ],
  'matlab/limit': [
    'A MAT-file is larger or more deeply nested than the reader allows, or would be larger than MATLAB can read.',
    'Save it without compression (-v6), or save only the net.',
  ],
  'memory/too-large': ['An array is larger than this Node can hold.', 'Use Node 22 or later.'],
  'net/batch-norm-few-values': [
    'BatchNorm would compute its statistics from too few values.',
    'Use a larger batch, or frozen statistics.',
  ],
  'net/batch-norm-rates-zeroed': [
    'Caffe sets the rates of a BatchNorm with three `param` to 0.',
    'Write `lr_mult: 0` and `decay_mult: 0` three times.',
  ],
  'net/label-range': [
    'A label of the data is not a class of the net.',
    'Count classes from 0, or give `num_output` the number of classes.',
  ],
  'net/no-loss': ['A net to train has no loss.', 'Add a SoftmaxWithLoss layer, or `loss_weight: 1`.'],
  'net/nothing-learns': ['Nothing in the net to train learns.', 'Give layers `param { lr_mult: 1 }`.'],
  'net/one-class': [
    'The only loss is a softmax over one class, which is always 1.',
    'Give `num_output: 2` or more to the layer before it.',
  ],
  'net/softmax-twice': ['A softmax is applied twice.', 'Feed the loss the scores that the Softmax reads.'],
  'net/zero-weights': [
    'Learnable weights begin at 0, so no gradient passes through them.',
    'Give them a filler such as msra or xavier.',
  ],
  'npz/format': [
    'An archive of NumPy arrays is damaged.',
    'Download it again, or save it with `numpy.savez`.',
  ],
  'npz/limit': [
    'An archive unpacks to far more than its size.',
    'Save it with `numpy.savez`, which does not compress.',
  ],
  'onnx/data-size': ['The number of bytes of a tensor does not match its shape.', 'Export the model again.'],
  'onnx/external': [
    'The file that holds the weights of an ONNX model cannot be read.',
    'Put the file beside the model.',
  ],
  'onnx/input': [
    'An input of an ONNX model has no fixed shape or another type.',
    'Give its shape (`--input-shape`), and export it in float32.',
  ],
  'onnx/no-graph': ['A file is not an ONNX model.', 'Export it again.'],
  'onnx/node': [
    'An ONNX node cannot become a layer of Caffe.',
    'Export the model as the message says, or replace the operator.',
  ],
  'onnx/opset': [
    'An ONNX model is written in an opset that is too old.',
    'Export it again with the opset that the message names.',
  ],
  'onnx/output': [
    'An output of an ONNX model comes from a node that did not become a layer.',
    'Remove it from the outputs, and export again.',
  ],
  'onnx/runtime': ['ONNX Runtime refuses a model.', "The message contains ONNX Runtime's own message."],
  'onnx/shape': ['A tensor has an invalid shape.', 'Export the model again.'],
  'package/missing': [
    'A package that only this feature needs is not installed.',
    'Install it beside resnode with the command that the message names.',
  ],
  'parity/array': [
    'The number of bytes of a recorded array does not match its shape.',
    'Record it again with scripts/caffe-dump.py.',
  ],
  'parity/manifest': [
    'A folder of records is damaged, or has another kind.',
    'Record it again with scripts/caffe-dump.py.',
  ],
  'parity/nothing': [
    'The other side has no layer of this net.',
    'Give a record that was made with the same prototxt.',
  ],
  'parity/onnxruntime': ['ONNX Runtime is not installed.', '`npm install onnxruntime-node` beside resnode.'],
  'program/invalid': ['A Program is inconsistent.', 'This is an error of resnode; report it with the net.'],
  'prototxt/byte-order-mark': [
    'A prototxt begins with a byte-order mark, which Caffe refuses.',
    'Save it as UTF-8 without BOM.',
  ],
  'prototxt/character': [
    'A character is in a place where it is not allowed.',
    'Remove it, or put the text in quotes.',
  ],
  'prototxt/dilation': ["A fork's `hole` is combined with `dilation`.", 'Keep one.'],
  'prototxt/duplicate-field': ['A field that may occur once is given twice.', 'Keep one.'],
  'prototxt/enum': [
    'A field has a value that is not one of its names.',
    'Use one of the names in the message.',
  ],
  'prototxt/escape': ['A string has a wrong escape sequence.', 'Write a backslash as `\\\\`.'],
  'prototxt/fork-enum': ['A value belongs to a fork of Caffe.', "Use BVLC's values."],
  'prototxt/fork-field': [
    'A field belongs to a fork of Caffe and changes what is computed.',
    "Express the same with BVLC's fields, if they can.",
  ],
  'prototxt/include-exclude': ['A layer has both include and exclude rules.', 'Keep one kind.'],
  'prototxt/input-shape': [
    "The net's `input` does not fit its `input_shape` or `input_dim`.",
    'Give one shape, or four dims, for each input.',
  ],
  'prototxt/layer-form': [
    'Fields of V1 and V2 layers are mixed in one layer.',
    'Write it in the form that the message names.',
  ],
  'prototxt/limit': [
    'A prototxt has more text, tokens or messages than any net needs.',
    'Check that it is the right file.',
  ],
  'prototxt/mixed-layers': ['A net has both `layers` (V1) and `layer` (V2).', 'Write all as `layer`.'],
  'prototxt/nul': ['A string has a NUL byte.', 'Remove it.'],
  'prototxt/number': ['A number is directly followed by other text.', 'Put a space between them.'],
  'prototxt/padding': [
    "A fork's fields for the pads of each side are combined with Caffe's.",
    'Keep one kind.',
  ],
  'prototxt/range': ['A number is outside the range of its field.', 'Give a number in the range.'],
  'prototxt/rounding': ["A fork's `ceil_mode` contradicts `round_mode`.", 'Keep one.'],
  'prototxt/sizes': [
    "A fork's window over a volume lacks a size, or the layer does not take one.",
    'Give the sizes that the message names.',
  ],
  'prototxt/solver-type': ['Both `solver_type` and `type` are given.', 'Keep `type`.'],
  'prototxt/syntax': ['A prototxt has a syntax error.', 'Correct the place that the message names.'],
  'prototxt/too-deep': ['Messages are nested deeper than any net needs.', 'Check the brackets.'],
  'prototxt/type': ['A field has a value of another type.', 'Write the type that the message names.'],
  'prototxt/unknown-bottom': [
    'A layer in an old form reads a blob that no layer produces.',
    'Correct the name.',
  ],
  'prototxt/unknown-field': [
    'The field does not exist.',
    'Correct the spelling; the message gives the nearest name.',
  ],
  'prototxt/unknown-type': ['An old layer type is unknown.', 'Correct the spelling.'],
  'prototxt/unterminated-string': ['A string has no closing quote on its line.', 'Close it.'],
  'prototxt/v0-in-v1': ['A V0 layer is inside a V1 layer of another form.', 'Write all layers in one form.'],
  'prototxt/wrong-kind': [
    'A file is not a prototxt of the kind needed.',
    'Give the kind that the message names.',
  ],
  'safetensors/format': ['A file is not a safetensors file, or is truncated.', 'Download it again.'],
  'safetensors/header': ['A header would be longer than the format allows.', 'Use shorter names.'],
  'safetensors/layers': [
    'The names of the tensors are not those of layers and blobs.',
    'Convert the file together with its net.',
  ],
  'safetensors/limit': ['A header is longer than the reader allows.', 'Check that it is the right file.'],
  'segmenter/busy': [
    'The queue of images is full.',
    'Try again later (a server answers 503), or raise `maxQueue`.',
  ],
  'segmenter/closed': [
    'The segmenter was closed before it processed the image.',
    'Segment before `close()`, or open another one.',
  ],
  'segmenter/no-map': [
    'A net does not output a map of scores.',
    'Give a deploy net that ends in scores N×C×H×W (FCN, DeepLab, PSPNet), in their ArgMax, or in a Sigmoid of one channel (HED); or name the blob.',
  ],
  'segmenter/not-finite': [
    'A score is NaN or infinite.',
    'Check the weights for values that are not finite, and check that the preprocessing is the one used in training.',
  ],
  'solver/count': ['A count of the solver is below 1.', 'Give 1 or more.'],
  'solver/extension-value': [
    'An extension of the solver has an invalid value, or belongs to another solver type.',
    'Do what the message says.',
  ],
  'solver/file-not-found': [
    'A file that the solver names does not exist.',
    "Correct the path; relative paths begin at the folder where the command runs, then at the solver's folder.",
  ],
  'solver/gamma': ['`gamma` is missing, but the policy multiplies by it.', 'Give one, such as 0.1.'],
  'solver/mixup': [
    'A net or its data cannot be trained with mixup.',
    'Change what the message names, or remove `mixup` from the solver.',
  ],
  'solver/momentum': ['The solver type does not use momentum.', 'Remove it.'],
  'solver/no-net': ['The solver names no net to train.', 'Give `net: "…"`.'],
  'solver/no-policy': ['`lr_policy` is missing.', 'Use one of the policies in the message.'],
  'solver/number': ['A number of the solver is NaN or infinite.', 'Give a finite number.'],
  'solver/rms-decay': ['`rms_decay` is not at least 0 and below 1.', 'Give a number such as 0.99.'],
  'solver/several-nets': ['The solver names several nets to train.', 'Keep one.'],
  'solver/snapshot-diff': ['`snapshot_diff` is not supported.', 'Remove it.'],
  'solver/stepsize': [
    '`stepsize` is missing or below 1 where the policy needs it.',
    'Give the number of iterations of a step.',
  ],
  'solver/test-interval': [
    'The solver tests but has no `test_interval`.',
    'Give the number of iterations between tests, or remove `test_iter`.',
  ],
  'solver/test-iter': [
    'The number of `test_iter` fields differs from the number of test nets.',
    'Give one per test net.',
  ],
  'solver/test-state': [
    'The number of `test_state` fields differs from the number of test nets.',
    'Give one per test net, or none.',
  ],
  'solver/unknown-policy': ['The `lr_policy` does not exist.', 'Use one of the policies in the message.'],
  'solver/unknown-regularization': ['The `regularization_type` does not exist.', 'Give L1 or L2.'],
  'solver/unknown-type': ['The solver type does not exist.', 'Use one of the types in the message.'],
  'tensorflow/data': [
    "A checkpoint's file of values is missing.",
    'Keep NAME.data-00000-of-00001 beside NAME.index.',
  ],
  'tensorflow/format': ['A checkpoint of TensorFlow is damaged.', 'Copy it again, all of its files.'],
  'tensorflow/unsupported': [
    'A checkpoint of TensorFlow stores values in a form that resnode does not read.',
    'Save the variables whole, on a little-endian machine.',
  ],
  'torch/format': [
    'A file of torch has a form that resnode does not read.',
    'Load it with torch and save it again.',
  ],
  'torch/global': [
    'A pickle tries to call code.',
    'Save only the state dict: `torch.save(model.state_dict(), …)`.',
  ],
  'torch/limit': ['A pickle has more steps than any checkpoint.', 'Save only the state dict.'],
  'torch/pickle': ['A pickle is damaged or has another kind.', 'Save it again.'],
  'torch/state-dict': [
    'A file of torch has no state dict.',
    'Save it with `torch.save(model.state_dict(), …)`.',
  ],
  'torch/truncated': ['A file of torch is truncated.', 'Download it again.'],
  'torch/zip': ['A zip file of torch cannot be read.', 'Download it again.'],
  'torch7/format': [
    'A file of Torch7 is damaged, or holds no module.',
    'Save it again: `torch.save("model.t7", model:float())`.',
  ],
  'torch7/limit': [
    'A file of Torch7 has more objects, or more deeply nested ones, than any net.',
    'Save only the net, after `model:clearState()`.',
  ],
  'train/diverged': ['Training diverged.', 'Lower `base_lr`, or warm it up.'],
  'train/no-end': ['The solver ended without its last event.', 'This is an error of resnode; report it.'],
  'train/no-weights': [
    'A model folder was requested from a training that wrote no snapshot.',
    'Set `snapshot_after_train: true`, or a `snapshot` interval.',
  ],
  'train/stopped': ['Training was stopped by a signal.', 'Resume from the snapshot that it wrote.'],
  'view/not-runnable': [
    'A page with activations needs a net that can run.',
    'Remove `--image`, or correct the layer that the message names.',
  ],
  'weights/blob-count': [
    'A layer has another number of blobs in the file than in the net.',
    'Give the weights of this net, or rename the layer to initialise it anew.',
  ],
  'weights/changed': [
    'A weights file was modified while resnode read it.',
    'Load it again. To replace a file safely, write the new version beside it and rename it.',
  ],
  'weights/data-size': [
    'The number of values of a blob does not match its shape.',
    'Download the file again.',
  ],
  'weights/empty': ['A .binaryproto holds no values.', 'Give a BlobProto, such as a mean image.'],
  'weights/hdf5': [
    'An HDF5 weights file is damaged, or lacks something that it should have.',
    'Download it again.',
  ],
  'weights/hdf5-external': [
    'An HDF5 weights file keeps values in another file.',
    'Write it again with its values inside.',
  ],
  'weights/hdf5-limit': [
    'An HDF5 weights file is larger or more deeply nested than the reader allows.',
    'Convert it to a caffemodel on the machine where it was made.',
  ],
  'weights/hdf5-unsupported': [
    'An HDF5 weights file uses a feature that resnode does not read.',
    "Write it again with h5py's defaults.",
  ],
  'weights/limit': [
    'A weights file has more layers or fields than any net.',
    'Check that it is the right file.',
  ],
  'weights/missing': [
    'Layers of the net have no weights in the file.',
    'Give the weights of this net; the message names what differs.',
  ],
  'weights/names-twice': ['Several layers with weights have the same name.', 'Give each layer its own name.'],
  'weights/none-matched': [
    'No layer of the file has the name of a layer of the net.',
    "Give weights whose layers have the names of the net's.",
  ],
  'weights/not-found': ['A weights file cannot be read.', 'Check the path.'],
  'weights/npy': [
    'A file is not an .npy file, or its number of bytes does not match its shape.',
    'Save it again with `numpy.save`.',
  ],
  'weights/npy-dtype': [
    'The values of an .npy are neither float32 nor float64.',
    'Save it with `array.astype("<f4")`.',
  ],
  'weights/npy-order': ['An .npy is in Fortran order.', 'Save it with `numpy.ascontiguousarray(array)`.'],
  'weights/other-history': [
    'The history of a snapshot belongs to another solver type or net.',
    'Resume with the solver and net that wrote it, or start with its weights only.',
  ],
  'weights/other-net': [
    'A snapshot belongs to another net.',
    'Resume with the net that wrote it, or start with its weights only.',
  ],
  'weights/out-of-memory': ['There is too little memory to map a weights file.', 'Free some memory.'],
  'weights/raw-type': [
    'A blob has values of an unknown type.',
    'Convert the blob to float32 on the machine where it was made.',
  ],
  'weights/shape': ['A blob has an invalid shape.', 'Download the file again.'],
  'weights/shape-mismatch': [
    'A blob has another shape in the file than in the net.',
    'Give the weights of this net, or rename the layer to initialise it anew.',
  ],
  'weights/solver-state': [
    'A file is not a solver state, or is damaged.',
    'Give the .solverstate that is beside the .caffemodel.',
  ],
  'weights/special-file': [
    'A weights path names a FIFO, a socket or a device.',
    'Write the data to a file, and give that file.',
  ],
  'weights/strict': [
    'With `strict`, every layer of the file and of the net must match; one does not.',
    'Give the weights of exactly this net, or remove `strict`.',
  ],
  'weights/too-large': [
    'A file is larger than this Node can hold, or larger than any valid file of its kind.',
    'Use Node 22 or later, or check that it is the right file.',
  ],
  'weights/truncated': ['A weights file ends in the middle of a value.', 'Download it again.'],
  'weights/wire': ['A file does not hold protobuf data.', 'Check that it is the right file.'],
  'weights/write': [
    'A weights file cannot be written.',
    'Check that the folder exists, that you may write to it and that it has free space.',
  ],
  'weights/wrong-kind': [
    'A file is of another kind than the one needed.',
    'Give the kind that the message names.',
  ],
} as const satisfies Readonly<Record<string, readonly [means: string, cure: string]>>;

/** `area/what`. */
export type ErrorCode = keyof typeof errorCodes;

/** The codes of an area without the area. */
export type CodeOf<Area extends string> = ErrorCode extends infer Code
  ? Code extends `${Area}/${infer What}`
    ? What
    : never
  : never;
