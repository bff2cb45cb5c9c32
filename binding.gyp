# For tools that know node-gyp alone: CMakeLists.txt is the build description, this hands over to it.
{
  'targets': [
    {
      'target_name': 'resnode',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cmake',
          'inputs': ['CMakeLists.txt'],
          'outputs': ['always'],
          'action': ['node', 'scripts/cmake-build.mjs'],
        },
      ],
    },
  ],
}
