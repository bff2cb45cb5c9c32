/**
 * Every code that an error has: what it means, and what cures it. A code that is not here does not compile;
 * `npm run errors-page` writes docs/errors.md. Only types are imported from here, so that no program loads the sentences.
 */
export const errorCodes = {
  'argument/invalid': [
    'An argument of a function, or a flag of the command, is not what it takes.',
    'The message names the argument, what is expected and what was given.',
  ],
  'bench/caffe-log': [
    'A text is not what `caffe time` prints.',
    'Let `caffe time` run until it says "Benchmark ends", and give all of it.',
  ],
  'bench/outputs-differ': [
    'Two ways to compute the same gave different results, so that their times cannot be compared.',
    'It is an error of the engine that the message names; report it if that is resnode.',
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
    'As many images wait as the queue may hold.',
    'Try again later (a server answers 503), or raise `maxQueue`.',
  ],
  'classifier/closed': [
    'The classifier was closed before the image was classified.',
    'Classify before `close()`, or open another one.',
  ],
  'classifier/not-finite': [
    'A probability is NaN.',
    'Check the weights for values that are not finite, and the preprocessing against the one used in training.',
  ],
  'communicator/failed': [
    'A call of MPI or NCCL failed, or one of the processes that train together left a pass.',
    "The library's own message follows, or what that process met; check the network and that all processes run the same versions, and go on from the last snapshot.",
  ],
  'communicator/other-failed': [
    'Another process of this command or training ended.',
    'Its own message says why; correct that and start all processes again.',
  ],
  'communicator/unavailable': [
    'MPI or NCCL, by which several processes work together, cannot be opened.',
    'Install it by the command that the message names.',
  ],
  'convert/layer': [
    'A layer of another framework has no equal in Caffe.',
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
    'The target format holds weights, and the net has none.',
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
    'A layer of the net has no place among the names of a ResNet in TensorFlow.',
    "Name the layers as MSRA's ResNets do: conv1, res2a_branch2a, bn2a_branch2a, scale2a_branch2a, fc1000.",
  ],
  'data/annotations': [
    'A file does not say where the objects of images are.',
    "Give a folder of PASCAL VOC's .xml files, or COCO's .json; the message says what is missing in it.",
  ],
  'data/augment': [
    'Augmentation by `shorterSide`, `resizedCrop`, `affine` or `jitter` takes images of bytes with up to 4 channels.',
    'Leave it out for other data.',
  ],
  'data/batch': [
    "An iterator gave something that is no batch of the net's inputs.",
    'Yield a Float32Array or Uint8Array of the expected size for each input.',
  ],
  'data/busy': ['`next()` was called before the last call had its batch.', 'Await the last call first.'],
  'data/cifar': ['A CIFAR binary file has no whole number of records.', 'Download it again, and unpack it.'],
  'data/datum': [
    "A record of a database is no Datum of Caffe's.",
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
    'Give one that does not end, or train for fewer iterations.',
  ],
  'data/exists': ['A database would be written where something is.', 'Remove it, or give another name.'],
  'data/hdf5': [
    'An HDF5 file of data cannot be opened, or lacks a data set.',
    'Write it again with a float data set for each top.',
  ],
  'data/hdf5-external': [
    'An HDF5 file of data keeps values in another file.',
    'Write it again with its values inside.',
  ],
  'data/hdf5-limit': [
    'An HDF5 file of data is larger or deeper than what is read.',
    'Split it into several files.',
  ],
  'data/hdf5-unsupported': [
    'An HDF5 file of data uses a feature that is not read.',
    "Write it again with h5py's defaults.",
  ],
  'data/idx': [
    "A file is not in MNIST's IDX format, or images and labels do not belong together.",
    'Give the unpacked files of one set.',
  ],
  'data/image': ['An image of a data set cannot be used.', 'Replace it, or remove its line.'],
  'data/key': [
    'LMDB takes keys of 1 to 511 bytes in rising order.',
    'Shorten the names, or let `resnode dataset` number them.',
  ],
  'data/label': ['A sample has no label.', "Write labels, or remove the data layer's second top."],
  'data/layer': [
    'A data layer lacks something, names what is not there, or is of a type that is not read.',
    'Complete the layer as the message says.',
  ],
  'data/leveldb': ['A LevelDB database is damaged.', 'Copy it again, or write the images anew.'],
  'data/leveldb-limit': [
    'The keys of a LevelDB database take more memory than is allowed.',
    'Write it as LMDB with `resnode dataset`.',
  ],
  'data/list': [
    'A list of images or files has a line that is none, or is empty.',
    'Write `path label` a line.',
  ],
  'data/lmdb': ['An LMDB database is damaged.', 'Copy it again, or write the images anew.'],
  'data/log': [
    'A text has no iteration of a training in it.',
    'Give what `resnode train --log` wrote or `caffe train` printed.',
  ],
  'data/not-found': [
    'A database, list or file of data is not there.',
    'Check the path; relative ones begin at the folder where the command runs.',
  ],
  'data/order': [
    'Nothing says in which order raw images have their channels.',
    'Give the order that the message asks for.',
  ],
  'data/size': ['Images or rows of one batch have different sizes.', 'Resize or crop them to one size.'],
  'data/state': [
    "A snapshot's state of the data does not fit the data now.",
    'Go on with the data that the snapshot was taken with.',
  ],
  'data/unreadable': ['A file of data cannot be read.', 'Check its permissions, or get it again.'],
  'data/windows': [
    'A window file of WindowData is not what R-CNN writes, or its windows do not lie in their images.',
    'The message names the line, what was found and what was expected there.',
  ],
  'data/worker': ['A thread that reads data ended.', 'The message says why; it is often memory.'],
  'data/wrong-kind': [
    'A file is of another kind than the one needed.',
    'Give the kind that the message names.',
  ],
  'detector/busy': [
    'As many images wait as the queue may hold.',
    'Try again later (a server answers 503), or raise `maxQueue`.',
  ],
  'detector/closed': [
    'The detector was closed before the image was looked at.',
    'Detect before `close()`, or open another one.',
  ],
  'detector/no-head': [
    'A net gives nothing that is read as boxes with classes.',
    "Give a deploy net that ends in SSD's DetectionOutput, in YOLO's, or in the class probabilities and the boxes of Faster R-CNN, R-FCN, MS-CNN or Cascade R-CNN; the message names what was found.",
  ],
  'detector/not-finite': [
    'A score or a box is NaN or infinite.',
    'Check the weights for values that are not finite, and the preprocessing against the one used in training.',
  ],
  'device/addon-missing': [
    'The native addon cannot be loaded.',
    'Follow the command in the message; `resnode doctor` tells more.',
  ],
  'device/bundled': [
    "A bundler copied resnode's code out of its package.",
    "Mark resnode as external in the bundler's configuration.",
  ],
  'device/closed': ['The device was disposed while work waited for it.', 'Dispose it after the last result.'],
  'device/disposed': [
    'A device, model, trainer or buffer was used after it was disposed.',
    'Use it before `dispose()`, or open another one.',
  ],
  'device/failed': [
    'A call of CUDA or cuDNN failed.',
    'The message names the call; `resnode doctor` checks driver and libraries.',
  ],
  'device/lost': [
    'What the GPU was told to do ended its context: a fault of a program, of its memory or of a link, an end of the MPS server, or the GPU fell off the bus (Xid 79).',
    "Dispose the device and start a new process. The message says what else mends it; `nvidia-smi` and `NVRM: Xid` in the system's log (`dmesg`) tell more.",
  ],
  'device/out-of-memory': [
    'The device has too little memory.',
    'Use the batch that the message says would fit, or `resnode plan` to see where memory goes.',
  ],
  'device/too-large': [
    'An array is larger than this Node can hold.',
    'Use Node 22 or later, or a smaller batch.',
  ],
  'device/unavailable': [
    'The device cannot be opened.',
    'The message says what is missing and how to install it; `--device cpu` needs nothing.',
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
    'The blob has no row for each image.',
    'Choose a blob whose first dimension counts images.',
  ],
  'file/line-too-long': [
    'A list has a line that is longer than a path can be.',
    'Give a text file with one entry a line.',
  ],
  'file/not-found': ['There is no such file.', 'Check the path.'],
  'file/special': [
    'A path names a FIFO, a socket or a device.',
    'Write what it gives to a file, and give that.',
  ],
  'file/too-large': ['A file is larger than any of its kind.', 'Check that it is the file you mean.'],
  'file/too-many-lines': ['A list has more lines than are read.', 'Split it.'],
  'file/unreadable': ['A file cannot be read.', 'Check its permissions.'],
  'file/write': [
    'A file or folder cannot be written.',
    'Check that the folder is there, may be written to and has room.',
  ],
  'graph/axis': [
    'A layer names an axis that its bottom does not have, or names it twice.',
    'Give an axis of the bottom.',
  ],
  'graph/base': [
    'The `base` of Exp or Log has no logarithm.',
    'Give a number above 0 (for Log not 1), or −1 for e.',
  ],
  'graph/batch-norm-lr': [
    "BatchNorm's blobs are given a learning rate.",
    'Write `param { lr_mult: 0 }` three times, or none.',
  ],
  'graph/bn': ["BN has words of SegNet's layer and of PSPNet's.", 'Keep the words of one.'],
  'graph/bottom-count': [
    'A layer has more or fewer bottoms than its type takes.',
    'Give as many as the message says.',
  ],
  'graph/clip': ['`clip_param` lacks a bound.', 'Give both `min` and `max`.'],
  'graph/coefficients': [
    "Eltwise's `coeff` does not fit its bottoms or its operation.",
    'Give one for each bottom of a SUM, or none.',
  ],
  'graph/continuation': [
    'ContinuationIndicator does not say how many steps or sequences there are.',
    'Give `time_step`, and `batch_size` or a bottom.',
  ],
  'graph/correlation': [
    "Correlation's or Correlation1D's parameters are missing, impossible, or do not fit the bottoms.",
    'Change what the message names; a `pad` of `max_displacement` keeps the size.',
  ],
  'graph/crop': ['A crop goes beyond its bottom.', 'Use a smaller `offset`, or a smaller second bottom.'],
  'graph/detection-output': [
    "DetectionOutput's parameters, or its bottoms, do not fit each other.",
    'Change what the message names; locations, scores and priors belong to the same boxes.',
  ],
  'graph/dilation': ['A `dilation` is impossible.', 'Give 1 or more, once or for height and width.'],
  'graph/dimensions': [
    'A bottom has the wrong number of dimensions.',
    'Feed the layer a blob N×C×H×W, or reshape it.',
  ],
  'graph/dropout-ratio': ['`dropout_ratio` is not at least 0 and below 1.', 'Write a share, such as 0.5.'],
  'graph/empty-selection': [
    'A Filter selects nothing, where something is made of all its items.',
    'Feed items of which at least one passes, or ask for outputs that have an item each.',
  ],
  'graph/file': [
    'A file that a layer names cannot be read, or holds something else.',
    'Put it into the working folder or beside the prototxt.',
  ],
  'graph/filler': ['A filler cannot fill its blob.', 'Change the field that the message names.'],
  'graph/force-backward': [
    '`force_backward` asks for a diff that a layer does not have.',
    'Remove `force_backward`.',
  ],
  'graph/fork-type': [
    'A layer type belongs to a fork of Caffe.',
    "Replace it by BVLC's layers, if they can say the same.",
  ],
  'graph/global-pooling': ['`global_pooling` stands beside a pad or stride.', 'Remove pad and stride.'],
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
    'The shape of an input is not known or impossible.',
    'Give `input_param { shape { … } }`, or `--input-shape` (`inputShapes`).',
  ],
  'graph/javascript-layer': [
    'A layer in JavaScript does not say what its net needs.',
    'Mend the function that the message names: its `shapes` and `forward`.',
  ],
  'graph/kernel': [
    'A kernel size is missing, impossible or given twice.',
    'Give `kernel_size`, or `kernel_h` and `kernel_w`.',
  ],
  'graph/label-count': ['A loss has other labels than scores.', 'Feed as many labels as the message says.'],
  'graph/local-size': ["LRN's `local_size` is even.", 'Give an odd one.'],
  'graph/loss-extension': [
    '`target_smoothing` or `class_weight` of a loss has a value that it cannot have.',
    'Give a share below 1, and a weight for each class.',
  ],
  'graph/loss-tops': [
    'A loss has a second top, which Caffe refuses.',
    'Add a Softmax layer for the probabilities.',
  ],
  'graph/loss-weight': [
    '`loss_weight` is not given once for each top.',
    'Give as many as there are tops, or none.',
  ],
  'graph/multi-box-loss': [
    "MultiBoxLoss's parameters, or its bottoms, do not fit each other.",
    'Change what the message names; locations, scores and priors belong to the same boxes.',
  ],
  'graph/no-batch-norm': [
    'No BatchNorm has batch statistics in phase TRAIN.',
    'Remove `use_global_stats: true` to measure new statistics.',
  ],
  'graph/no-classifier': [
    'The net has not one input of images.',
    'Give a deploy prototxt; `resnode print --deploy` makes it.',
  ],
  'graph/no-deploy': ['The net has no deploy form.', 'The message names the layer that prevents it.'],
  'graph/no-train': ['The net has no training form.', 'The message says what was expected of it.'],
  'graph/normalize': ['InfogainLoss takes no `normalize`.', 'Write `normalization`.'],
  'graph/num-axes': ["`num_axes` goes beyond the bottom's dimensions.", 'Give fewer, or −1 for all.'],
  'graph/num-output': ['`num_output` is missing or below 1.', 'Give the number of outputs.'],
  'graph/offset': [
    'Crop has another number of `offset` than cropped axes.',
    'Give one, or one for each axis.',
  ],
  'graph/other-parameters': [
    'Other input shapes would need other weights.',
    'Load the net again with `inputShapes`.',
  ],
  'graph/pad': [
    'A pad is impossible or larger than its window allows.',
    'Give a pad that is smaller than the kernel.',
  ],
  'graph/param-count': ['A layer has more `param` than blobs.', 'Remove those beyond its blobs.'],
  'graph/prior-box': [
    'A size, ratio, step or variance of PriorBox is impossible.',
    'Change the field that the message names.',
  ],
  'graph/propagate-down': [
    '`propagate_down` is not given once for each bottom.',
    'Give as many as there are bottoms, or none.',
  ],
  'graph/proposal': [
    'What a layer says of anchors, regions or boxes is impossible.',
    'Change what the message names.',
  ],
  'graph/pyramid-height': ["SPP's `pyramid_height` is impossible.", 'Give the number of levels, from 1 on.'],
  'graph/range': [
    'A number in the parameters of a layer is out of its bounds, NaN or infinite.',
    'Give a number as the message says.',
  ],
  'graph/regions': ['A pooling of regions lacks a size.', 'Give the fields that the message names.'],
  'graph/reorg': [
    'A Reorg has no stride, or one that does not divide its bottom.',
    'Give a stride that divides it.',
  ],
  'graph/reshape': [
    'Values cannot take the shape that Reshape asks for.',
    'Write dims whose product is that of the bottom, one of them −1 at most.',
  ],
  'graph/resize': [
    'Interp or Upsample has no size, or an impossible one.',
    'Give the factor or the size that the message names.',
  ],
  'graph/selector': [
    "A Filter's selector changes as the net learns.",
    'Select by labels or other data, or use the net as it is.',
  ],
  'graph/shape': [
    'Bottoms of one layer have shapes that do not fit.',
    'Change the layers before it, so that they agree.',
  ],
  'graph/shared-multiplier': [
    'Layers give one shared parameter different multipliers.',
    'Write it once, or the same.',
  ],
  'graph/shared-shape': [
    'Layers share a parameter but need different shapes.',
    'Give them parameters of their own, or the same size.',
  ],
  'graph/slice-point': [
    "Slice's `slice_point` do not cut its axis into its tops.",
    'Give one fewer than tops, rising.',
  ],
  'graph/smooth-l1': ["SmoothL1Loss's `sigma` is not above 0.", 'Give a number above 0, such as 1.'],
  'graph/sparsify': ["Sparsify's `coef` or `thre` is below 0.", 'Give a number from 0 on.'],
  'graph/stride': ['A stride is impossible or given twice.', 'Give 1 or more, once or for height and width.'],
  'graph/tiles': ["Tile's `tiles` is missing or below 1.", 'Give how often it repeats.'],
  'graph/too-large': ["A blob would be larger than Caffe's limits.", 'Use a smaller batch or image.'],
  'graph/too-small': ['A window does not fit its bottom.', 'Use a larger image, a smaller kernel, or a pad.'],
  'graph/top-count': [
    'A layer has more or fewer tops than its type takes.',
    'Give as many as the message says.',
  ],
  'graph/top-k': [
    "Accuracy's `top_k` is larger than the number of classes.",
    'Give at most as many as there are classes.',
  ],
  'graph/top-twice': [
    'Two layers make a blob of one name.',
    'Rename one, or let the layer work in place on the blob that it alone reads.',
  ],
  'graph/unfed-input': [
    'Nothing gives an input of the net to train.',
    'Use a data layer, or give an iterator.',
  ],
  'graph/unknown-blob': [
    'The net has no blob of that name.',
    'Take the nearest name from the message, or `resnode summary`.',
  ],
  'graph/unknown-bottom': [
    'A layer reads a blob that no layer above makes.',
    'Mend the name, or the state (phase, stages) in which its maker is left out.',
  ],
  'graph/unknown-type': ['There is no such layer type.', 'Mend the spelling.'],
  'graph/unsupported': [
    'A layer asks for something that is not run here.',
    'Use what the message says is supported.',
  ],
  'graph/unsupported-type': ["A layer type of Caffe's is not run here.", 'Replace it by layers that are.'],
  'graph/untrained-layer': [
    'The test net has a layer with weights that the training net lacks.',
    'Give both the same layer.',
  ],
  'graph/yolo': [
    "A YOLO layer's parameters, or its bottoms, do not fit each other.",
    'Give what the message expected.',
  ],
  'image/channels': [
    'An image has channels or colours that nets do not take.',
    'Convert it to grey, RGB or CMYK of 8 bits.',
  ],
  'image/depth': [
    'An image has samples of a type for which no range is agreed, such as floats.',
    'Scale them to 8 or 16 bits.',
  ],
  'image/dicom': [
    'A DICOM image is of a kind that is not read: compressed, of several frames, with a palette or tables.',
    'Write it uncompressed (`gdcmconv --raw IN OUT`), a frame a file; the message says what it is.',
  ],
  'image/label-map': [
    'A file does not hold a class for each pixel.',
    'Give a PNG with a palette, as PASCAL VOC has them, or a grey one of 8 bits, whose samples are the classes.',
  ],
  'image/mean': [
    'A mean file cannot be read, or is no mean image.',
    'Give a .binaryproto of `compute_image_mean`, or an .npy of channels × height × width.',
  ],
  'image/none-left': ['Every image was broken, so that none is left.', 'Look at the errors before it.'],
  'image/not-a-file': ['A path is a folder or something else that is no file.', 'Give a file.'],
  'image/not-found': ['There is no such image.', 'Check the path.'],
  'image/preprocess': [
    'A preprocessing file says something impossible.',
    'Mend the field that the message names; docs/preprocess.md has them all.',
  ],
  'image/size': [
    'A net cannot take an image of that size: a kernel is larger, or what it adds differs.',
    'Resize the image, or fill it up (`resize`, `pad`; --resize, --pad); with `longestSide` and `multipleOf` the aspect nearly stays.',
  ],
  'image/timeout': ['An image was not decoded in time.', 'Raise `timeout`, or make the image smaller.'],
  'image/too-large': [
    'An image has more pixels or bytes than are decoded.',
    'Raise `maxPixels` or `maxBytes` where you trust it, or make it smaller.',
  ],
  'image/too-small': ['An image is smaller than the crop.', 'Resize it, or crop less.'],
  'image/unreadable': [
    'A file is no image, or a damaged one.',
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
    'A label is no class of the net.',
    'Count classes from 0, or give `num_output` the number of classes.',
  ],
  'layer/failed': [
    'A layer in JavaScript threw, or gave something else than its tops or diffs.',
    'The message says what; correct the function.',
  ],
  'matlab/format': [
    'A MAT-file is damaged, or of a form that is not read.',
    'Save it again with -v7 or -v7.3.',
  ],
  'matlab/limit': [
    'A MAT-file is larger or deeper than what is read, or would be larger than MATLAB reads.',
    'Save it without packing (-v6), or the net alone.',
  ],
  'memory/too-large': ['An array is larger than this Node can hold.', 'Use Node 22 or later.'],
  'net/batch-norm-few-values': [
    'BatchNorm would take its statistics over too few values.',
    'Use a larger batch, or frozen statistics.',
  ],
  'net/batch-norm-rates-zeroed': [
    'Caffe sets the rates of a BatchNorm with three `param` to 0.',
    'Write `lr_mult: 0` and `decay_mult: 0` three times.',
  ],
  'net/label-range': [
    'Labels of the data are no classes of the net.',
    'Count classes from 0, or give `num_output` the number of classes.',
  ],
  'net/no-loss': ['A net to train has no loss.', 'Add a SoftmaxWithLoss layer, or `loss_weight: 1`.'],
  'net/nothing-learns': ['Nothing in the net to train learns.', 'Give layers `param { lr_mult: 1 }`.'],
  'net/one-class': [
    'The only loss is a softmax over one class, which is always 1.',
    'Give `num_output: 2` or more to the layer before it.',
  ],
  'net/softmax-twice': ['A softmax is taken twice.', 'Feed the loss the scores that the Softmax reads.'],
  'net/zero-weights': [
    'Weights that learn begin at 0, so that no gradient passes.',
    'Give them a filler such as msra or xavier.',
  ],
  'npz/format': ['An archive of NumPy arrays is damaged.', 'Get it again, or save it with `numpy.savez`.'],
  'npz/limit': [
    'An archive unpacks to far more than its size.',
    'Save it with `numpy.savez`, which packs nothing.',
  ],
  'onnx/data-size': ['A tensor has not as many bytes as its shape needs.', 'Export the model again.'],
  'onnx/external': [
    'The weights of an ONNX model lie in a file that cannot be read.',
    'Put the file beside the model.',
  ],
  'onnx/input': [
    'An input of an ONNX model has no fixed shape or another type.',
    'Give its shape (`--input-shape`), and export it in float32.',
  ],
  'onnx/no-graph': ['A file is no ONNX model.', 'Export it again.'],
  'onnx/node': [
    "An ONNX node cannot become a layer of Caffe's.",
    'Export the model as the message says, or replace the operator.',
  ],
  'onnx/opset': [
    'An ONNX model is written in an opset that is too old.',
    'Export it again with the opset that the message names.',
  ],
  'onnx/output': [
    'An output of an ONNX model is made by nothing that became a layer.',
    'Remove it from the outputs, and export again.',
  ],
  'onnx/runtime': ['ONNX Runtime refuses a model.', 'Its own message follows.'],
  'onnx/shape': ['A tensor has an impossible shape.', 'Export the model again.'],
  'package/missing': [
    'A package that only this needs is not installed.',
    'Install it beside resnode by the command that the message names.',
  ],
  'parity/array': [
    'A recorded array has not as many bytes as its shape needs.',
    'Record it again with scripts/caffe-dump.py.',
  ],
  'parity/manifest': [
    'A folder of records is damaged, or is of another kind.',
    'Record it again with scripts/caffe-dump.py.',
  ],
  'parity/nothing': [
    'The other side has no layer of this net.',
    'Give what was made with the same prototxt.',
  ],
  'parity/onnxruntime': ['ONNX Runtime is not installed.', '`npm install onnxruntime-node` beside resnode.'],
  'program/invalid': [
    'A Program does not hold together.',
    'It is an error of resnode; report it with the net.',
  ],
  'prototxt/byte-order-mark': [
    'A prototxt begins with a byte-order mark, which Caffe refuses.',
    'Save it as UTF-8 without BOM.',
  ],
  'prototxt/character': ['A character stands where none may.', 'Remove it, or put the text in quotes.'],
  'prototxt/dilation': ["A fork's `hole` stands beside `dilation`.", 'Keep one.'],
  'prototxt/duplicate-field': ['A field is given twice that may be given once.', 'Keep one.'],
  'prototxt/enum': ['A field has a value that is none of its names.', 'Take one of those in the message.'],
  'prototxt/escape': ['A string has a wrong escape sequence.', 'Write a backslash as `\\\\`.'],
  'prototxt/fork-enum': ['A value belongs to a fork of Caffe.', "Use BVLC's values."],
  'prototxt/fork-field': [
    'A field belongs to a fork of Caffe and changes what is computed.',
    "Say the same with BVLC's fields, if they can.",
  ],
  'prototxt/include-exclude': ['A layer has both include and exclude rules.', 'Keep one kind.'],
  'prototxt/input-shape': [
    "The net's `input` and `input_shape` or `input_dim` do not fit.",
    'Give one shape, or four dims, for each input.',
  ],
  'prototxt/layer-form': [
    'Fields of V1 and V2 layers are mixed in one layer.',
    'Write it in the form that the message names.',
  ],
  'prototxt/limit': [
    'A prototxt has more text, tokens or messages than any net needs.',
    'Check that it is the file you mean.',
  ],
  'prototxt/mixed-layers': ['A net has both `layers` (V1) and `layer` (V2).', 'Write all as `layer`.'],
  'prototxt/nul': ['A string has a NUL byte.', 'Remove it.'],
  'prototxt/number': ['A number runs into the text behind it.', 'Put a space between them.'],
  'prototxt/padding': ["A fork's pads of each side stand beside Caffe's.", 'Keep one kind.'],
  'prototxt/range': ['A number is outside the range of its field.', 'Give one in the range.'],
  'prototxt/rounding': ["A fork's `ceil_mode` contradicts `round_mode`.", 'Keep one.'],
  'prototxt/sizes': [
    "A fork's window over a volume lacks a size, or stands in a layer that has none.",
    'Give the sizes that the message names.',
  ],
  'prototxt/solver-type': ['Both `solver_type` and `type` are given.', 'Keep `type`.'],
  'prototxt/syntax': ['A prototxt is not well formed.', 'Mend the place that the message names.'],
  'prototxt/too-deep': ['Messages are nested deeper than any net needs.', 'Check the brackets.'],
  'prototxt/type': ['A field has a value of another type.', 'Write the type that the message names.'],
  'prototxt/unknown-bottom': ['An old layer reads a blob that nothing makes.', 'Mend the name.'],
  'prototxt/unknown-field': [
    'There is no such field.',
    'Mend the spelling; the message names the nearest one.',
  ],
  'prototxt/unknown-type': ['An old layer type is not known.', 'Mend the spelling.'],
  'prototxt/unterminated-string': ['A string has no closing quote on its line.', 'Close it.'],
  'prototxt/v0-in-v1': [
    'A V0 layer stands inside a V1 layer of another form.',
    'Write all layers in one form.',
  ],
  'prototxt/wrong-kind': [
    'A file is no prototxt of the kind needed.',
    'Give the kind that the message names.',
  ],
  'safetensors/format': ['A file is no safetensors file, or is cut short.', 'Get it again.'],
  'safetensors/header': ['A header would be longer than safetensors allow.', 'Use shorter names.'],
  'safetensors/layers': [
    'Tensors are not named as the blobs of layers.',
    'Convert it with the net that it belongs to.',
  ],
  'safetensors/limit': ['A header is longer than what is read.', 'Check that it is the file you mean.'],
  'segmenter/busy': [
    'As many images wait as the queue may hold.',
    'Try again later (a server answers 503), or raise `maxQueue`.',
  ],
  'segmenter/closed': [
    'The segmenter was closed before the image was looked at.',
    'Segment before `close()`, or open another one.',
  ],
  'segmenter/no-map': [
    'A net gives no map of scores.',
    'Give a deploy net that ends in scores N×C×H×W (FCN, DeepLab, PSPNet), in their ArgMax, or in a Sigmoid of one channel (HED); or name the blob.',
  ],
  'segmenter/not-finite': [
    'A score is NaN or infinite.',
    'Check the weights for values that are not finite, and the preprocessing against the one used in training.',
  ],
  'solver/count': ['A count of the solver is below 1.', 'Give 1 or more.'],
  'solver/extension-value': [
    'An extension of the solver has a value that it cannot have, or belongs to another type.',
    'Do what the message says.',
  ],
  'solver/file-not-found': [
    'A file that the solver names is not there.',
    "Mend the path; relative ones begin at the folder where the command runs, then at the solver's.",
  ],
  'solver/gamma': ['`gamma` is missing where the policy multiplies by it.', 'Give one, such as 0.1.'],
  'solver/mixup': [
    'A net or its data cannot be trained with mixup.',
    'Change what the message names, or remove `mixup` from the solver.',
  ],
  'solver/momentum': ['The solver type takes no momentum.', 'Remove it.'],
  'solver/no-net': ['The solver names no net to train.', 'Give `net: "…"`.'],
  'solver/no-policy': ['`lr_policy` is missing.', 'Give one of those in the message.'],
  'solver/number': ['A number of the solver is NaN or infinite.', 'Give a finite one.'],
  'solver/rms-decay': ['`rms_decay` is not at least 0 and below 1.', 'Give one, such as 0.99.'],
  'solver/several-nets': ['The solver names several nets to train.', 'Keep one.'],
  'solver/snapshot-diff': ['`snapshot_diff` is not supported.', 'Remove it.'],
  'solver/stepsize': [
    '`stepsize` is missing or below 1 where the policy needs it.',
    'Give the iterations of a step.',
  ],
  'solver/test-interval': [
    'The solver tests but has no `test_interval`.',
    'Give the iterations between tests, or remove `test_iter`.',
  ],
  'solver/test-iter': ['`test_iter` is not given once for each test net.', 'Give as many.'],
  'solver/test-state': ['`test_state` is not given once for each test net.', 'Give as many, or none.'],
  'solver/unknown-policy': ['There is no such `lr_policy`.', 'Take one of those in the message.'],
  'solver/unknown-regularization': ['There is no such `regularization_type`.', 'Give L1 or L2.'],
  'solver/unknown-type': ['There is no such solver type.', 'Take one of those in the message.'],
  'tensorflow/data': [
    "A checkpoint's file of values is missing.",
    'Keep NAME.data-00000-of-00001 beside NAME.index.',
  ],
  'tensorflow/format': ['A checkpoint of TensorFlow is damaged.', 'Copy it again, all of its files.'],
  'tensorflow/unsupported': [
    'A checkpoint of TensorFlow holds values in a form that is not read.',
    'Save the variables whole, on a little-endian machine.',
  ],
  'torch/format': ['A file of torch is of a form that is not read.', 'Load it with torch and save it again.'],
  'torch/global': [
    'A pickle asks for code.',
    'Save the state dict alone: `torch.save(model.state_dict(), …)`.',
  ],
  'torch/limit': ['A pickle has more steps than any checkpoint.', 'Save the state dict alone.'],
  'torch/pickle': ['A pickle cannot be read.', 'Save it again; it is damaged or of another kind.'],
  'torch/state-dict': [
    'A file of torch has no state dict.',
    'Save it with `torch.save(model.state_dict(), …)`.',
  ],
  'torch/truncated': ['A file of torch is cut short.', 'Get it again.'],
  'torch/zip': ['A zip file of torch cannot be read.', 'Get it again.'],
  'torch7/format': [
    'A file of Torch7 is damaged, or holds no module.',
    'Save it again: `torch.save("model.t7", model:float())`.',
  ],
  'torch7/limit': [
    'A file of Torch7 has more or deeper objects than any net.',
    'Save the net alone, after `model:clearState()`.',
  ],
  'train/diverged': ['Training diverged.', 'Lower `base_lr`, or warm it up.'],
  'train/no-end': ['The solver ended without saying so.', 'It is an error of resnode; report it.'],
  'train/no-weights': [
    'A model folder was asked for of a training that wrote no snapshot.',
    'Set `snapshot_after_train: true`, or a `snapshot` interval.',
  ],
  'train/stopped': ['Training was stopped by a signal.', 'Go on from the snapshot that it wrote.'],
  'view/not-runnable': [
    'A page with activations needs a net that can run.',
    'Leave out `--image`, or correct the layer that the message names.',
  ],
  'weights/blob-count': [
    "A layer of the file has more or fewer blobs than the net's.",
    'Give the weights of this net, or rename the layer to fill it anew.',
  ],
  'weights/changed': [
    'A weights file was written to while it was read.',
    'Load it again; write new versions beside it and rename them.',
  ],
  'weights/data-size': ['A blob has not as many values as its shape needs.', 'Get the file again.'],
  'weights/empty': ['A .binaryproto holds no values.', 'Give a BlobProto, such as a mean image.'],
  'weights/hdf5': ['An HDF5 weights file is damaged, or lacks what it should have.', 'Get it again.'],
  'weights/hdf5-external': [
    'An HDF5 weights file keeps values in another file.',
    'Write it again with its values inside.',
  ],
  'weights/hdf5-limit': [
    'An HDF5 weights file is larger or deeper than what is read.',
    'Convert it to a caffemodel where it was made.',
  ],
  'weights/hdf5-unsupported': [
    'An HDF5 weights file uses a feature that is not read.',
    "Write it again with h5py's defaults.",
  ],
  'weights/limit': [
    'A weights file has more layers or fields than any net.',
    'Check that it is the file you mean.',
  ],
  'weights/missing': [
    'Layers of the net have no weights in the file.',
    'Give the weights of this net; the message names what differs.',
  ],
  'weights/names-twice': ['Several layers with weights have one name.', 'Give each layer a name of its own.'],
  'weights/none-matched': [
    "No layer of the file has a name of the net's.",
    "Give weights whose layers are named as the net's.",
  ],
  'weights/not-found': ['A weights file cannot be read.', 'Check the path.'],
  'weights/npy': [
    'A file is no .npy file, or has not as many bytes as its shape needs.',
    'Save it again with `numpy.save`.',
  ],
  'weights/npy-dtype': [
    'An .npy has values other than float32 or float64.',
    'Save it with `array.astype("<f4")`.',
  ],
  'weights/npy-order': ['An .npy is in Fortran order.', 'Save it with `numpy.ascontiguousarray(array)`.'],
  'weights/other-history': [
    "A snapshot's history is of another solver type or net.",
    'Go on with the solver and net that wrote it, or begin with its weights alone.',
  ],
  'weights/other-net': [
    'A snapshot is of another net.',
    'Go on with the net that wrote it, or begin with its weights alone.',
  ],
  'weights/out-of-memory': ['There is too little memory to map a weights file.', 'Free some.'],
  'weights/raw-type': ['A blob has values of an unknown type.', 'Convert it to float32 where it was made.'],
  'weights/shape': ['A blob has an impossible shape.', 'Get the file again.'],
  'weights/shape-mismatch': [
    "A blob of the file has another shape than the net's.",
    'Give the weights of this net, or rename the layer to fill it anew.',
  ],
  'weights/solver-state': [
    'A file is no solver state, or a damaged one.',
    'Give the .solverstate that lies beside the .caffemodel.',
  ],
  'weights/special-file': [
    'A weights path names a FIFO, a socket or a device.',
    'Write what it gives to a file, and give that.',
  ],
  'weights/strict': [
    'With `strict`, a layer is ignored or missing.',
    'Give the weights of exactly this net, or leave `strict` out.',
  ],
  'weights/too-large': [
    'A file is larger than this Node can hold, or than any of its kind.',
    'Use Node 22 or later, or check that it is the file you mean.',
  ],
  'weights/truncated': ['A weights file ends in the middle of a value.', 'Get it again.'],
  'weights/wire': ['A file is no protobuf data.', 'Check that it is the file you mean.'],
  'weights/write': [
    'A weights file cannot be written.',
    'Check that the folder is there, may be written to and has room.',
  ],
  'weights/wrong-kind': [
    'A file is of another kind than the one needed.',
    'Give the kind that the message names.',
  ],
} as const satisfies Readonly<Record<string, readonly [means: string, cure: string]>>;

/** `area/what`. */
export type ErrorCode = keyof typeof errorCodes;

/** What the codes of an area say after the slash. */
export type CodeOf<Area extends string> = ErrorCode extends infer Code
  ? Code extends `${Area}/${infer What}`
    ? What
    : never
  : never;
